//! Tables of values, and the path of each value.
//!
//! A group of values is a case. Each value goes through serde_json, which tells whether the value must arrive. Then
//! each value goes through a channel within this process, so that a failure names every lost value. Then all values
//! together are the arguments of one child, which compares the values with its own, and the child's result.

use std::fmt::Debug;

use offspring::channel;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The groups of a file, as cases: `group { name: Type = value; }`.
///
/// `value => other` stands for a value that its own type changes on the way, also by serde_json, such as a value with a
/// field that is not serialised. `value, beyond_json` stands for a value that serde_json cannot carry, and that must
/// arrive all the same.
macro_rules! round_trips {
    ($($group:ident {
        $($name:ident: $type:ty = $value:expr $(=> $becomes:expr)? $(, $mark:ident)?;)+
    })+) => {
        offspring_tests::cases! { $(here $group;)+ }

        $(
            fn $group(method: offspring::StartMethod) {
                $group::arrive(method);
            }

            #[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "a group has what values it has")]
            mod $group {
                use super::*;

                $(
                    fn $name() -> $type {
                        $value
                    }
                )+

                /// The expected values at the arrival.
                mod expected {
                    use super::*;

                    $(
                        pub(super) fn $name() -> $type {
                            $crate::table::last!($value $(, $becomes)?)
                        }
                    )+
                }

                #[derive(serde::Serialize, serde::Deserialize)]
                struct Values {
                    $($name: $type,)+
                }

                impl Values {
                    #[track_caller]
                    fn check(&self) {
                        $(assert_eq!(self.$name, expected::$name(), stringify!($name));)+
                    }
                }

                #[offspring::child_task]
                fn child($($name: $type),+) -> Values {
                    let seen = Values { $($name),+ };
                    seen.check();
                    seen
                }

                pub(super) fn arrive(method: offspring::StartMethod) {
                    let mut lost = $crate::table::Lost::default();
                    $(
                        let is_beyond_json = $crate::table::is_beyond_json(&[$(stringify!($mark))?]);
                        lost.note(stringify!($name), self::$name, &expected::$name(), is_beyond_json);
                    )+
                    lost.nothing();
                    offspring_tests::value(offspring_tests::start(method, child::call($(self::$name()),+))).check();
                }
            }
        )+
    };
}

/// Returns the last of one or two.
macro_rules! last {
    ($value:expr) => {
        $value
    };
    ($_:expr, $becomes:expr) => {
        $becomes
    };
}

pub(crate) use {last, round_trips};

pub(crate) fn is_beyond_json(marks: &[&str]) -> bool {
    match marks {
        [] => false,
        ["beyond_json"] => true,
        others => panic!("unknown marks: {others:?}"),
    }
}

/// The results of the values of a group.
#[derive(Default)]
pub(crate) struct Lost(Vec<String>);

impl Lost {
    /// Sends a value through serde_json and through a channel.
    pub(crate) fn note<T>(&mut self, name: &str, make: fn() -> T, expected: &T, is_beyond_json: bool)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let by_json = by_json(&make());
        let is_carried = by_json.as_ref().is_ok_and(|value| value == expected);
        assert_eq!(is_carried, !is_beyond_json, "{name}: serde_json makes {by_json:?} of {expected:?}");
        match by_channel(make()) {
            Ok(arrived) if arrived == *expected => {}
            Ok(other) => self.0.push(format!("{name}: {expected:?} has become {other:?}")),
            Err(error) => self.0.push(format!("{name}: {expected:?} was refused: {error}")),
        }
    }

    #[track_caller]
    pub(crate) fn nothing(&self) {
        assert!(self.0.is_empty(), "lost:\n  {}", self.0.join("\n  "));
    }
}

/// Returns the value after a pass through serde_json.
pub(crate) fn by_json<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, String> {
    let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))
}

/// Returns the value after a pass through a channel within this process.
pub(crate) fn by_channel<T: Serialize + DeserializeOwned>(value: T) -> Result<T, String> {
    let (to, from) = channel().expect("a channel");
    to.send(value).map_err(|error| error.to_string())?;
    from.try_recv().map_err(|error| error.to_string())
}
