"""The SQL of the room: usage events and imports, price books, statements."""
