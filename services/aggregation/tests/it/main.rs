//! The service's rpcs over a socket, and its store on both engines.
