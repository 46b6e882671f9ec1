//! A demo orchestrator: the envelope of CONTRACTS 3 about real child processes, and faults on demand.
//!
//! It listens, answers `GET /metrics`, and keeps a small world going: jobs arrive in a queue, agents (children of this
//! very program that burn a little CPU) take them through the stages, costs grow. One letter on stdin or a flag breaks one
//! thing, another mends it, so that a newcomer sees the watchdog alarm and resolve within a minute.
//! It never outlives its children by accident: each child ends when its stdin closes, however this process ends.
//! Its tests: `tests/tests/demo.rs`.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

const HELP: &str = "\
orchestrator: a demo orchestrator for the watchdog to look at.

It serves GET /metrics about real child processes and breaks on demand.

  --listen ADDR:PORT   where to listen (127.0.0.1:8500; port 0 takes a free one)
  --agents N           children at work (3)
  --age-factor N       seconds that broken things age in one second (600)
  --for DURATION       each fault given as a flag ends after so long (until r)
  --help               this text

A fault as a flag begins at once, or with -after DURATION later:
  --stop       --stop-after 20s         accept connections, never answer    key s
  --refuse     --refuse-after 20s       refuse connections                  key d
  --freeze     --freeze-after 20s       generated_at stands still           key f
  --stall-agent --stall-agent-after 20s one agent does nothing any more     key a
  --age-queue  --age-queue-after 20s    nobody takes from the queue         key q
  --pause      --pause-after 20s        enabled is false                    key p
  --cost-jump  --cost-jump-after 20s    100 USD more today                  key c
  --error      --error-after 20s        answer with status 500              key 5

Keys are read from stdin, one letter and Enter: those above, r to mend everything, x to end.

See an alarm and its end within a minute, in two terminals:
  cargo run -p watchdog-tests --bin orchestrator -- --stop-after 20s --for 15s
  WATCHDOG_INTERVAL=2s cargo run --release
";

/// One thing that can be broken, with its key and its flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Stop,
    Refuse,
    Freeze,
    StallAgent,
    AgeQueue,
    Pause,
    CostJump,
    Error,
}

const FAULTS: [(Fault, char, &str); 8] = [
    (Fault::Stop, 's', "--stop"),
    (Fault::Refuse, 'd', "--refuse"),
    (Fault::Freeze, 'f', "--freeze"),
    (Fault::StallAgent, 'a', "--stall-agent"),
    (Fault::AgeQueue, 'q', "--age-queue"),
    (Fault::Pause, 'p', "--pause"),
    (Fault::CostJump, 'c', "--cost-jump"),
    (Fault::Error, '5', "--error"),
];

const STAGES: [&str; 3] = ["plan", "build", "review"];
/// How often the world moves.
const STEP: Duration = Duration::from_millis(200);
/// Seconds from one new job to the next.
const ARRIVAL_S: f64 = 6.0;
/// Seconds that a job stays in one stage; three agents and three stages keep up with the arrivals.
const STAGE_S: f64 = 5.0;
const COST_PER_AGENT_SECOND_USD: f64 = 0.002;

struct Options {
    listen: SocketAddr,
    agents: usize,
    age_factor: f64,
    lasts: Option<Duration>,
    planned: Vec<(Fault, Duration)>,
}

/// An agent: a child process, and the job that it has in hand.
struct Agent {
    child: Child,
    /// The order book of the child: `b` burn, `i` idle, closed: end.
    orders: ChildStdin,
    job: Option<Job>,
    stalled: bool,
}

struct Job {
    id: u32,
    age_s: f64,
    stage: usize,
    stage_age_s: f64,
}

struct World {
    agents: Vec<Agent>,
    queue: VecDeque<(u32, f64)>,
    jobs: u32,
    until_arrival_s: f64,
    failed: u32,
    today_usd: f64,
    total_usd: f64,
    age_factor: f64,
    frozen_at: Option<SystemTime>,
    faults: Vec<Fault>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--worker") => return work(),
        Some("--help" | "-h") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let outcome = options(&arguments).and_then(|options| serve(&options).map_err(|error| error.to_string()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("orchestrator: {reason}");
            ExitCode::from(64)
        }
    }
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 8500)),
        agents: 3,
        age_factor: 600.0,
        lasts: None,
        planned: Vec::new(),
    };
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        if let Some((fault, ..)) = FAULTS.iter().find(|(.., name)| name == flag) {
            options.planned.push((*fault, Duration::ZERO));
            continue;
        }
        let known = FAULTS
            .iter()
            .find(|(.., name)| flag.strip_suffix("-after") == Some(name));
        let value = rest
            .next()
            .ok_or_else(|| format!("{flag}: unknown, or its value is missing (see --help)"))?;
        let wrong = |error: &dyn std::fmt::Display| format!("{flag} {value}: {error}");
        match (flag.as_str(), known) {
            (_, Some((fault, ..))) => {
                let after = humantime::parse_duration(value).map_err(|error| wrong(&error))?;
                options.planned.push((*fault, after));
            }
            ("--listen", _) => options.listen = value.parse().map_err(|error| wrong(&error))?,
            ("--agents", _) => options.agents = value.parse().map_err(|error| wrong(&error))?,
            ("--age-factor", _) => options.age_factor = value.parse().map_err(|error| wrong(&error))?,
            ("--for", _) => {
                options.lasts = Some(humantime::parse_duration(value).map_err(|error| wrong(&error))?);
            }
            _ => return Err(format!("{flag}: unknown (see --help)")),
        }
    }
    Ok(options)
}

fn serve(options: &Options) -> io::Result<()> {
    let listener = TcpListener::bind(options.listen)?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}/metrics");
    let world = Arc::new(Mutex::new(World::new(options)?));
    let moving = Arc::clone(&world);
    let plan: Vec<(Fault, Duration)> = options.planned.clone();
    let lasts = options.lasts;
    thread::spawn(move || live(&moving, &plan, lasts));
    let commanded = Arc::clone(&world);
    thread::spawn(move || obey(&commanded));
    listen(listener, address, &world)
}

/// Answers until the process ends; while connections are to be refused, there is no listener at all.
fn listen(first: TcpListener, address: SocketAddr, world: &Arc<Mutex<World>>) -> io::Result<()> {
    let mut listener = Some(first);
    loop {
        let refused = locked(world).is(Fault::Refuse);
        match &listener {
            Some(_) if refused => listener = None,
            None if !refused => {
                let again = TcpListener::bind(address)?;
                again.set_nonblocking(true)?;
                listener = Some(again);
            }
            Some(open) => {
                open.set_nonblocking(true)?;
                while let Ok((stream, _)) = open.accept() {
                    let world = Arc::clone(world);
                    thread::spawn(move || drop(answer(stream, &world)));
                }
                thread::sleep(Duration::from_millis(20));
            }
            None => thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn answer(mut stream: TcpStream, world: &Mutex<World>) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < 8192 {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            read => head.extend_from_slice(&bytes[..read]),
        }
    }
    while locked(world).is(Fault::Stop) {
        thread::sleep(Duration::from_millis(100));
    }
    let request = String::from_utf8_lossy(&head);
    let mut words = request.split(' ');
    let (status, body) = match (words.next(), words.next()) {
        _ if locked(world).is(Fault::Error) => {
            ("500 Internal Server Error", json!({"error": "broken on demand"}))
        }
        (Some("GET"), Some("/metrics")) => ("200 OK", locked(world).envelope()),
        (Some("GET"), _) => ("404 Not Found", json!({"error": "only /metrics is here"})),
        _ => ("405 Method Not Allowed", json!({"error": "only GET is answered"})),
    };
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Moves the world and keeps to the plan of faults that the flags gave.
fn live(world: &Mutex<World>, plan: &[(Fault, Duration)], lasts: Option<Duration>) {
    let start = Instant::now();
    let mut before = start;
    let mut begun = vec![false; plan.len()];
    let mut ended = vec![false; plan.len()];
    loop {
        let now = Instant::now();
        {
            let mut world = locked(world);
            for (index, (fault, after)) in plan.iter().enumerate() {
                let age = now.duration_since(start);
                if !begun[index] && age >= *after {
                    begun[index] = true;
                    world.breaks(*fault);
                }
                if !ended[index] && lasts.is_some_and(|lasts| age >= *after + lasts) {
                    ended[index] = true;
                    world.mends(*fault);
                }
            }
            world.step(now.duration_since(before).as_secs_f64());
        }
        before = now;
        thread::sleep(STEP);
    }
}

/// Reads keys from stdin until it ends; its end means nothing.
fn obey(world: &Mutex<World>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        for key in line.trim().chars() {
            match (key, FAULTS.iter().find(|(_, known, _)| *known == key)) {
                (_, Some((fault, ..))) => locked(world).breaks(*fault),
                ('r', _) => FAULTS.iter().for_each(|(fault, ..)| locked(world).mends(*fault)),
                ('x', _) => {
                    locked(world).end();
                    std::process::exit(0);
                }
                _ => eprintln!("unknown key {key}: one of s d f a q p c 5 r x"),
            }
        }
    }
}

impl World {
    fn new(options: &Options) -> io::Result<Self> {
        let agents = (0..options.agents)
            .map(|_| Agent::start())
            .collect::<io::Result<_>>()?;
        Ok(Self {
            agents,
            queue: VecDeque::new(),
            jobs: 0,
            until_arrival_s: 0.0,
            failed: 0,
            today_usd: 3.2,
            total_usd: 120.5,
            age_factor: options.age_factor,
            frozen_at: None,
            faults: Vec::new(),
        })
    }

    fn is(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn breaks(&mut self, fault: Fault) {
        if self.is(fault) {
            return;
        }
        println!("broken: {fault:?}");
        self.faults.push(fault);
        match fault {
            Fault::Freeze => self.frozen_at = Some(SystemTime::now()),
            Fault::CostJump => {
                self.today_usd += 100.0;
                self.total_usd += 100.0;
            }
            Fault::StallAgent => self.stall(),
            // Something must be there to grow old.
            Fault::AgeQueue => self.until_arrival_s = 0.0,
            _ => {}
        }
    }

    fn mends(&mut self, fault: Fault) {
        if !self.is(fault) {
            return;
        }
        println!("mended: {fault:?}");
        self.faults.retain(|broken| *broken != fault);
        match fault {
            Fault::Freeze => self.frozen_at = None,
            // What is spent is spent: a new day begins.
            Fault::CostJump => self.today_usd = 0.0,
            // What aged is worked off at once, so that the end of the alarm is seen soon.
            Fault::AgeQueue => self.queue.clear(),
            Fault::StallAgent => self.agents.iter_mut().for_each(|agent| agent.stall(false)),
            _ => {}
        }
    }

    /// Stalls an agent that is at work, or the first one with a job made for it.
    fn stall(&mut self) {
        let place = self
            .agents
            .iter()
            .position(|agent| agent.job.is_some())
            .unwrap_or(0);
        if self.agents.get(place).is_some_and(|agent| agent.job.is_none()) {
            let id = self.next_job();
            self.agents[place].job = Some(Job::new(id));
        }
        if let Some(agent) = self.agents.get_mut(place) {
            agent.stall(true);
        }
    }

    fn next_job(&mut self) -> u32 {
        self.jobs += 1;
        self.jobs
    }

    fn step(&mut self, passed_s: f64) {
        if self.is(Fault::Pause) {
            return;
        }
        self.until_arrival_s -= passed_s;
        if self.until_arrival_s <= 0.0 {
            self.until_arrival_s = ARRIVAL_S;
            let id = self.next_job();
            self.queue.push_back((id, 0.0));
        }
        let blocked = self.is(Fault::AgeQueue);
        let queue_s = if blocked {
            passed_s * self.age_factor
        } else {
            passed_s
        };
        self.queue.iter_mut().for_each(|(_, age_s)| *age_s += queue_s);
        for agent in &mut self.agents {
            // While nobody takes from the queue, those at work stay at it: an old queue, not a stalled one.
            agent.step(passed_s, self.age_factor, blocked);
            if agent.job.is_some() {
                self.today_usd += COST_PER_AGENT_SECOND_USD * passed_s;
                self.total_usd += COST_PER_AGENT_SECOND_USD * passed_s;
            } else if !blocked && let Some((id, _)) = self.queue.pop_front() {
                agent.take(Job::new(id));
            }
            if agent.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                self.failed += 1;
                if let Ok(next) = Agent::start() {
                    *agent = next;
                }
            }
        }
    }

    fn envelope(&self) -> Value {
        let generated_at = self.frozen_at.unwrap_or_else(SystemTime::now);
        let stages: Vec<Value> = STAGES
            .iter()
            .enumerate()
            .map(|(index, name)| self.stage(index, name))
            .collect();
        let agents: Vec<Value> = self.agents.iter().filter_map(Agent::envelope).collect();
        let oldest_age_s = self.queue.iter().map(|(_, age_s)| *age_s).fold(0.0, f64::max);
        json!({
            "schema_version": 1,
            "generated_at": humantime::format_rfc3339_millis(generated_at).to_string(),
            "clk_tck": rustix::param::clock_ticks_per_second(),
            "enabled": !self.is(Fault::Pause),
            "stages": stages,
            "queue": {
                "depth": self.queue.len(),
                "running": agents.len(),
                "failed": self.failed,
                "oldest_age_s": oldest_age_s,
            },
            "agents": agents,
            "cost": {"today_usd": self.today_usd, "total_usd": self.total_usd},
        })
    }

    fn stage(&self, index: usize, name: &str) -> Value {
        let ages = || {
            self.agents
                .iter()
                .filter_map(|agent| agent.job.as_ref())
                .filter(|job| job.stage == index)
        };
        let oldest_age_s = ages().map(|job| job.stage_age_s).fold(0.0, f64::max);
        json!({"stage": name, "count": ages().count(), "oldest_age_s": oldest_age_s})
    }

    fn end(&mut self) {
        for agent in self.agents.drain(..) {
            drop(agent.orders);
            let mut child = agent.child;
            drop(child.wait());
        }
    }
}

impl Job {
    const fn new(id: u32) -> Self {
        Self {
            id,
            age_s: 0.0,
            stage: 0,
            stage_age_s: 0.0,
        }
    }
}

impl Agent {
    fn start() -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--worker")
            .stdin(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self {
            child,
            orders,
            job: None,
            stalled: false,
        })
    }

    fn order(&mut self, order: &[u8]) {
        drop(self.orders.write_all(order).and_then(|()| self.orders.flush()));
    }

    fn take(&mut self, job: Job) {
        self.job = Some(job);
        self.order(b"b");
    }

    fn stall(&mut self, stalled: bool) {
        self.stalled = stalled;
        self.order(if stalled { b"i" } else { b"b" });
    }

    fn step(&mut self, passed_s: f64, age_factor: f64, held: bool) {
        let Some(job) = &mut self.job else { return };
        let aged_s = if self.stalled {
            passed_s * age_factor
        } else {
            passed_s
        };
        job.age_s += aged_s;
        job.stage_age_s += aged_s;
        if self.stalled || held || job.stage_age_s < STAGE_S {
            return;
        }
        job.stage += 1;
        job.stage_age_s = 0.0;
        if job.stage >= STAGES.len() {
            self.job = None;
            self.order(b"i");
        }
    }

    fn envelope(&self) -> Option<Value> {
        let job = self.job.as_ref()?;
        let (utime, stime) = cpu_ticks(self.child.id())?;
        Some(json!({
            "id": format!("job-{}", job.id),
            "stage": STAGES.get(job.stage),
            "pid": self.child.id(),
            "utime": utime,
            "stime": stime,
            "elapsed_s": job.age_s,
        }))
    }
}

/// Fields 14 and 15 of `/proc/<pid>/stat` (proc_pid_stat(5)), counted after the name, which may hold spaces.
fn cpu_ticks(pid: u32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The child: burns a twentieth of a core when told to, sleeps when told to, ends when its stdin closes.
fn work() -> ExitCode {
    let busy = Arc::new(Mutex::new(false));
    let burning = Arc::clone(&busy);
    thread::spawn(move || {
        loop {
            let until = Instant::now() + Duration::from_millis(5);
            while *locked(&burning) && Instant::now() < until {
                std::hint::spin_loop();
            }
            thread::sleep(Duration::from_millis(95));
        }
    });
    for order in io::stdin().lock().bytes() {
        let Ok(order) = order else { break };
        *locked(&busy) = order == b'b';
    }
    ExitCode::SUCCESS
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
