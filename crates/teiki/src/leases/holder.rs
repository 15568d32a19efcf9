//! Who holds a lease: a process, named so that another one on the same machine can see whether it still lives.
//!
//! The name is boot, process namespace, process number and start, so that neither a restart of the machine nor a number
//! used again can be taken for the same process. What cannot be read is never called dead.

use std::fs;

/// Whether the process that had a lease before may still be sending what it had prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Former {
    /// There was none, or it is dead: what it sent, it sent before now.
    Gone,
    /// Nobody knows; it may live on another machine and have lost its database session alone.
    MaySend,
}

/// The name of this process.
pub(crate) fn this_process() -> String {
    name_of(std::process::id()).unwrap_or_else(|| format!("unknown/{}", std::process::id()))
}

/// Whether the process with this name, which is not this one, is known to be dead.
pub(crate) fn is_gone(name: &str) -> bool {
    look_for(name) == Former::Gone
}

/// What is known of the process with this name.
pub(super) fn look_for(name: &str) -> Former {
    let mine = this_process();
    let number = |name: &str| name.split('/').nth(2).and_then(|number| number.parse::<u32>().ok());
    let place = |name: &str| name.split('/').take(2).map(str::to_owned).collect::<Vec<_>>();
    match number(name) {
        Some(number)
            if place(name) == place(&mine) && (name == mine || name_of(number).as_deref() != Some(name)) =>
        {
            Former::Gone
        }
        Some(_) | None => Former::MaySend,
    }
}

/// `None`: there is no such process, or the system does not tell.
fn name_of(process: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The command's name may have spaces and parentheses; what follows the last one is: state, parent, … start (the 20th).
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let start = fields.nth(18)?;
    (!is_dead).then(|| format!("{}/{}/{process}/{start}", boot.trim(), namespace.display()))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_of_this_machine_is_known_to_live_or_to_be_dead() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().expect("sleep starts");
        let name = name_of(child.id()).expect("it lives");
        assert_eq!(look_for(&name), Former::MaySend);
        child.kill().expect("it can be killed");
        // A dead process that nobody has waited for is as dead.
        while name_of(child.id()).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(look_for(&name), Former::Gone);
        child.wait().expect("it was killed");
        assert_eq!(look_for(&name), Former::Gone);
    }

    #[test]
    fn a_number_used_again_is_another_process_and_elsewhere_nothing_is_known() {
        let mine = this_process();
        let (rest, start) = mine.rsplit_once('/').expect("a name has four parts");
        let former = format!("{rest}/{}", start.parse::<u64>().expect("ticks") - 1);
        assert_eq!(look_for(&former), Former::Gone);
        let elsewhere = mine.replacen(&mine[..8], "00000000", 1);
        assert_eq!(look_for(&elsewhere), Former::MaySend);
        for unreadable in ["", "pid 7", "unknown/7"] {
            assert_eq!(look_for(unreadable), Former::MaySend, "{unreadable}");
        }
    }
}
