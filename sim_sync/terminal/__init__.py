"""What commands share to speak to people: output, tables, exit codes, the folder they work in."""
