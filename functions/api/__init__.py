"""HTTP: requests in, responses out. The only package that knows Flask."""
