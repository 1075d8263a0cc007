//! Nothing: the benchmarks are beside it.
