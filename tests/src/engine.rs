//! A real Docker Engine, and containers in it that are there to be broken.
//!
//! The engine is the one that `DOCKER_HOST` names, or one of a test's own. No image can be pulled, so every container
//! is one static program in an image made `FROM scratch`. Tests: `tests/engine.rs`, `tests/containers.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The image of the subjects.
pub const SUBJECT: &str = "watchdog-subject:plain";
/// The image of those with a health check.
pub const SUBJECT_WITH_HEALTH: &str = "watchdog-subject:health";

/// The words of a subject that runs until it is told to end, and then exits with 3.
pub const UNTIL_END: [&str; 3] = ["until", "/flags/end", "3"];

/// An engine, by its socket.
#[derive(Clone, Debug)]
pub struct Engine {
    socket: PathBuf,
}

impl Engine {
    /// The one that `DOCKER_HOST` names.
    pub fn given() -> Self {
        Self::at(&socket())
    }

    /// The one that listens there.
    pub fn at(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Its address, as `WATCHDOG_DOCKER_HOST` takes it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Runs `docker` with these words and tells what it said.
    ///
    /// # Panics
    /// If it fails.
    pub fn docker(&self, words: &[&str]) -> String {
        succeed(&mut self.command(words))
    }

    /// Removes a container, whatever its state, if it is there.
    pub fn remove(&self, name: &str) {
        drop(self.command(&["rm", "--force", name]).output());
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(words).env("DOCKER_HOST", self.host());
        command
    }
}

/// A container that is there to be broken. It sees one folder of the test as `/flags`, and is removed when this is
/// dropped.
#[derive(Debug)]
pub struct Subject {
    engine: Engine,
    /// Its name; [`Subject::rename`] changes it.
    pub name: String,
    flags: Shared,
}

impl Subject {
    /// Starts one in the given engine, with `docker run`'s options and the program's words.
    pub fn new(name: &str, options: &[&str], image: &str, words: &[&str]) -> Self {
        Self::within(&Engine::given(), name, options, image, words)
    }

    /// The same in another engine.
    pub fn within(engine: &Engine, name: &str, options: &[&str], image: &str, words: &[&str]) -> Self {
        let subject = Self {
            engine: engine.clone(),
            name: name.to_owned(),
            flags: Shared::new(),
        };
        let volume = format!("{}:/flags:ro", subject.flags.folder().display());
        let mut arguments = vec!["run", "--detach", "--init", "--network", "none"];
        arguments.extend(["--name", name, "--volume", &volume]);
        arguments.extend(options);
        arguments.push(image);
        arguments.extend(words);
        engine.docker(&arguments);
        subject
    }

    /// One that runs until [`Subject::end_now`], then exits with 3.
    pub fn that_runs(name: &str, options: &[&str], image: &str) -> Self {
        Self::new(name, options, image, &UNTIL_END)
    }

    /// Makes it exit with 3.
    pub fn end_now(&self) {
        self.mark("end");
    }

    /// `docker stop`.
    pub fn stop(&self) {
        self.engine.docker(&["stop", &self.name]);
    }

    /// `docker kill`.
    pub fn kill(&self) {
        self.engine.docker(&["kill", &self.name]);
    }

    /// `docker rename`.
    pub fn rename(&mut self, name: &str) {
        self.engine.docker(&["rename", &self.name, name]);
        name.clone_into(&mut self.name);
    }

    /// Starts it anew, to run until [`Subject::end_now`].
    pub fn begin_again(&self) {
        self.unmark("end");
        self.engine.docker(&["start", &self.name]);
    }

    /// Lays a file of this name into its folder.
    pub fn mark(&self, flag: &str) {
        fs::write(self.flags.path(flag), "").unwrap();
    }

    /// Removes that file.
    pub fn unmark(&self, flag: &str) {
        drop(fs::remove_file(self.flags.path(flag)));
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.engine.remove(&self.name);
    }
}

/// A folder that a container's user may look into, unlike a plain temporary one.
#[derive(Debug)]
pub struct Shared(TempDir);

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    /// Makes one.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        make_readable(folder.path());
        Self(folder)
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Lets everybody read and enter it.
pub fn make_readable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Builds the images of the subjects in an engine.
///
/// # Panics
/// If the compiler or the engine fails.
pub fn build_subjects(engine: &Engine) {
    let context = TempDir::new().unwrap();
    let binary = static_subject(context.path());
    let dockerfile = "FROM scratch\nCOPY subject /subject\nENTRYPOINT [\"/subject\"]\n";
    let health = "HEALTHCHECK --interval=1s --timeout=2s --retries=2 CMD [\"/subject\", \"absent\", \"/flags/sick\"]\n";
    assert!(binary.exists());
    for (image, text) in [
        (SUBJECT, dockerfile.to_owned()),
        (SUBJECT_WITH_HEALTH, format!("{dockerfile}{health}")),
    ] {
        fs::write(context.path().join("Dockerfile"), text).unwrap();
        let context = context.path().display().to_string();
        engine.docker(&["build", "--quiet", "--tag", image, &context]);
    }
}

/// Builds the subject static: it uses `std` alone, so one call of the compiler does.
fn static_subject(folder: &Path) -> PathBuf {
    let binary = folder.join("subject");
    let source = repository().join("tests/src/bin/subject.rs");
    let mut command = Command::new("rustc");
    command
        .args([
            "--edition",
            "2024",
            "-O",
            "-C",
            "target-feature=+crt-static",
            "-o",
        ])
        .arg(&binary)
        .arg(source);
    succeed(&mut command);
    binary
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The engine's socket: `tests/engine.sh` names it in DOCKER_HOST.
pub fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    PathBuf::from(
        host.strip_prefix("unix://")
            .unwrap_or_else(|| panic!("{host} is no unix socket")),
    )
}

/// Runs `docker` in the given engine and tells what it said.
///
/// # Panics
/// If it fails.
pub fn docker(arguments: &[&str]) -> String {
    succeed(Command::new("docker").args(arguments))
}

/// Runs a command and tells what it said.
///
/// # Panics
/// If it fails; what it complained of is shown.
pub fn succeed(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
    stdout(&output).trim().to_owned()
}

/// What a command said.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
