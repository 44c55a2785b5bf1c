//! The attributes, with examples that only compile where levent can be named.

/// ```
/// #[levent::main]
/// async fn main() -> std::io::Result<()> {
///     levent::sleep(std::time::Duration::from_millis(1)).await;
///     Ok(())
/// }
/// ```
pub use levent_macros::main;

/// ```
/// #[levent::test(virtual_time, timeout = 2.5)]
/// async fn a_day_passes() -> std::io::Result<()> {
///     levent::sleep(std::time::Duration::from_secs(24 * 3600)).await;
///     Ok(())
/// }
/// ```
///
/// Not for functions that are not async, or that take arguments:
///
/// ```compile_fail
/// #[levent::test]
/// fn blocking() {}
/// ```
///
/// ```compile_fail
/// #[levent::test]
/// async fn with_arguments(number: u32) {}
/// ```
///
/// ```compile_fail
/// #[levent::test(timout = 3)]
/// async fn misspelt() {}
/// ```
pub use levent_macros::test;
