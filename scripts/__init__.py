"""The programs behind the commands in this folder; a command is a few lines of shell beside them."""
