//! Processes as the kernel sees them (`/proc`), and the children that a benchmark starts.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::de::DeserializeOwned;

use super::Failed;

/// Ticks of CPU time in a second, the same on every Linux.
pub(crate) const TICKS_PER_SECOND: u64 = 100;

/// The most memory that a process has had, in KiB.
pub(crate) fn peak_kib(process: &str) -> Result<u64, Failed> {
    field(&format!("/proc/{process}/status"), "VmHWM:")
}

/// All bytes that this process has given to the kernel to write.
pub(crate) fn bytes_written() -> Result<u64, Failed> {
    field("/proc/self/io", "wchar:")
}

fn field(path: &str, name: &str) -> Result<u64, Failed> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{path} has no {name}").into())
}

/// CPU time of a process, its own and the kernel's for it, in ticks.
pub(crate) fn cpu_ticks(process: u32) -> Result<u64, Failed> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The name of the program, in parentheses, may hold blanks; after it, user and system time are fields 12 and 13.
    let fields = text.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks.as_slice() {
        [user, system] => Ok(user + system),
        _ => Err(format!("{path} does not read").into()),
    }
}

/// Runs a command to its end and gives what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String, Failed> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{:?} ended with {}", command.get_program(), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs one round in a process of its own and reads its line of JSON.
pub(crate) fn round<T: DeserializeOwned>(side: &[&str]) -> Result<T, Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    let text = output(command.args(["bench", "round"]).args(side))?;
    Ok(serde_json::from_str(&text)?)
}

/// A server that ends with its owner.
pub(crate) struct Server {
    child: Child,
    /// The first line that it printed.
    pub(crate) greeting: String,
}

impl Server {
    /// Starts a server that prints one line when it is there. Its log goes where `log` says.
    pub(crate) fn start(program: &Path, arguments: &[&str], log: impl Into<Stdio>) -> Result<Self, Failed> {
        let mut command = Command::new(program);
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stdin(Stdio::null()).stderr(log).spawn()?;
        let out = child.stdout.take().ok_or("a server without an output")?;
        let mut server = Self { child, greeting: String::new() };
        BufReader::new(out).read_line(&mut server.greeting)?;
        if server.greeting.is_empty() {
            return Err(format!("{} ended before it was there", program.display()).into());
        }
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
