//! The settings in which a child of the server must differ from the server, to be like this process now.

use std::io;

use crate::child::StreamSetting;
use crate::start::Request;
use crate::sys::cwd;
use crate::sys::fd::Stream;
use crate::sys::inherited::InheritedState;

/// Adds to the spec each setting of this process (`now`) that the server does not share and the spec does not set.
pub(super) fn add_to(request: &mut Request<'_>, now: InheritedState, server: &InheritedState) -> io::Result<()> {
    let settings = &mut request.spec.settings;
    add(&mut settings.environment, now.environment, &server.environment);
    add(&mut settings.umask, now.umask, &server.umask);
    add(&mut settings.nice, now.nice, &server.nice);
    add(&mut settings.affinity, now.affinity, &server.affinity);
    add(&mut settings.process_group, now.process_group, &server.process_group);
    add(&mut settings.oom_score, now.oom_score, &server.oom_score);
    add(&mut settings.ignored_signals, now.ignored_signals, &server.ignored_signals);
    add(&mut settings.blocked_signals, now.blocked_signals, &server.blocked_signals);
    for (limit, servers) in now.limits.into_iter().zip(&server.limits) {
        if limit != *servers && !settings.limits.iter().any(|(resource, _)| *resource == limit.0) {
            settings.limits.push(limit);
        }
    }
    // A directory that cannot be read is passed on unseen.
    if request.fds.directory.is_none() && (now.directory.is_none() || now.directory != server.directory) {
        request.fds.directory = Some(cwd::open_directory("/proc/self/cwd".as_ref())?);
    }
    for stream in Stream::ALL {
        let (setting, slot) = (&mut settings.streams[stream as usize], &mut request.fds.streams[stream as usize]);
        if *setting == StreamSetting::Keep {
            *slot = stream.duplicate()?;
            *setting = if slot.is_some() { StreamSetting::Given } else { StreamSetting::Null };
        }
        // All streams of the server are `/dev/null` already.
        if *setting == StreamSetting::Null {
            *setting = StreamSetting::Keep;
        }
    }
    Ok(())
}

fn add<T: PartialEq>(setting: &mut Option<T>, now: T, servers: &T) {
    if setting.is_none() && now != *servers {
        *setting = Some(now);
    }
}
