"""What people do: validate, decide, append. Nothing here knows a socket or HTTP."""
