"""SQL of the room, one module for each group of tables.  Rows in, frozen records out."""
