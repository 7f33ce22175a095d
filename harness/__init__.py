"""What runs inside a sandbox beside untrusted code. Mounted or copied there as files; nobody outside imports it."""
