//! libevent, call by call.
