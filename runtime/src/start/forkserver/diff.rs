//! What a child of the server must change in itself to be like this process at this moment.

use std::io;

use crate::child::StreamSetting;
use crate::start::Request;
use crate::sys::cwd;
use crate::sys::fd::Stream;
use crate::sys::inherited::InheritedState;

/// Puts into the order what this process is and the server (`base`) is not, unless the order says it already.
pub(super) fn take_over(present: InheritedState, base: &InheritedState, request: &mut Request<'_>) -> io::Result<()> {
    let settings = &mut request.order.settings;
    take(&mut settings.environment, present.environment, &base.environment);
    take(&mut settings.umask, present.umask, &base.umask);
    take(&mut settings.nice, present.nice, &base.nice);
    take(&mut settings.affinity, present.affinity, &base.affinity);
    take(&mut settings.process_group, present.process_group, &base.process_group);
    take(&mut settings.oom_score, present.oom_score, &base.oom_score);
    take(&mut settings.ignored_signals, present.ignored_signals, &base.ignored_signals);
    take(&mut settings.blocked_signals, present.blocked_signals, &base.blocked_signals);
    for (limit, served) in present.limits.into_iter().zip(&base.limits) {
        if limit != *served && !settings.limits.iter().any(|(resource, _)| *resource == limit.0) {
            settings.limits.push(limit);
        }
    }
    if request.kit.directory.is_none() && (present.directory.is_none() || present.directory != base.directory) {
        request.kit.directory = Some(cwd::open_directory("/proc/self/cwd".as_ref())?);
    }
    for stream in Stream::ALL {
        let (setting, slot) = (&mut settings.streams[stream as usize], &mut request.kit.streams[stream as usize]);
        if *setting == StreamSetting::Keep {
            *slot = stream.duplicate()?;
            *setting = if slot.is_some() { StreamSetting::Given } else { StreamSetting::Null };
        }
        // All three of the server's are `/dev/null`.
        if *setting == StreamSetting::Null {
            *setting = StreamSetting::Keep;
        }
    }
    Ok(())
}

fn take<T: PartialEq>(wished: &mut Option<T>, present: T, served: &T) {
    if wished.is_none() && present != *served {
        *wished = Some(present);
    }
}
