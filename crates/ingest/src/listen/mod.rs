//! Where bytes come from when nobody sends a request.
