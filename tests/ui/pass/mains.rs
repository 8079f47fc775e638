//! `main` may return whatever `main` may return, and whoever can see it may call it.

#![deny(warnings)]

use std::process::ExitCode;

mod result {
    #[offspring::process_main]
    pub fn main() -> Result<(), Box<dyn std::error::Error>> {
        Ok(())
    }
}

mod exit_code {
    #[offspring::process_main(start_method = "fork")]
    pub fn main() -> std::process::ExitCode {
        std::process::ExitCode::SUCCESS
    }
}

mod never {
    #[offspring::process_main]
    pub fn main() -> ! {
        std::process::exit(0)
    }
}

mod opaque {
    #[offspring::process_main]
    /// Has docs.
    pub fn main() -> impl std::process::Termination {}
}

fn main() {
    let _: [fn() -> ExitCode; 4] = [result::main, exit_code::main, never::main, opaque::main];
}
