"""Reading meters over Modbus TCP: one task a gateway, short timeouts, dead units left alone for a while."""
