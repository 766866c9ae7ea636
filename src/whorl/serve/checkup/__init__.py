"""What `whorl doctor` looks at. Reads only; works beside a running server, and on a workspace that is broken."""
