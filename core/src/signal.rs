//! What can be wrong: kinds of signals, their ids, severities, sources and masters, and what one look at them says.

use core::fmt;

use crate::text::Subject;

/// What one look at a signal says.
///
/// The order is that of badness: of two looks at one subject in one document, the greater one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Observation {
    /// Nothing is wrong.
    Clear,
    /// It could not be told; the state is held.
    #[default]
    Unknown,
    /// Something is wrong.
    Active,
}

/// How bad a firing signal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Severity {
    /// Someone gets up for it: 🔴, `level=error`.
    Critical,
    /// Someone looks at it in the morning: 🟡, `level=warn`.
    Warning,
}

impl Severity {
    /// Tells the field's word, `critical` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// Where a signal's observations come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Source {
    /// The orchestrator's envelope.
    Orchestrator,
    /// The Docker Engine.
    Docker,
    /// One of the dependencies.
    Dependency,
    /// The host's /proc and file systems.
    Host,
    /// The watchdog itself.
    Own,
}

impl Source {
    /// Tells the name that `/status`, the start digest and the metrics use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Docker => "docker",
            Self::Dependency => "dependency",
            Self::Host => "host",
            Self::Own => "watchdog",
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $source:ident $severity:ident $master:expr;)+) => {
        /// What can be wrong, the part of a signal's id in front of the colon.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
            /// A rule of the operator's, by its place in the configuration.
            Rule(u8),
        }

        impl Kind {
            /// Every kind but the rules, in the order of the enum.
            pub const BUILT_IN: &'static [Self] = &[$(Self::$kind,)+];

            /// Tells the kind's place among all, below [`Kind::COUNT`].
            #[must_use]
            pub fn index(self) -> usize {
                /// The kinds once more, without rules: their order is their number.
                enum Place { $($kind,)+ }
                match self {
                    $(Self::$kind => Place::$kind as usize,)+
                    Self::Rule(number) => Self::BUILT_IN.len().saturating_add(usize::from(number)),
                }
            }

            /// Tells the kind's name; for a rule, whose name the configuration knows, `rule`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                    Self::Rule(_) => "rule",
                }
            }

            /// Tells the kind's name by its number in the program's own strings.
            #[cfg(feature = "defmt")]
            fn interned(self) -> defmt::Str {
                match self {
                    $(Self::$kind => defmt::intern!($name),)+
                    Self::Rule(_) => defmt::intern!("rule"),
                }
            }

            /// Tells where its observations come from.
            #[must_use]
            pub const fn source(self) -> Source {
                match self {
                    $(Self::$kind => Source::$source,)+
                    Self::Rule(_) => Source::Orchestrator,
                }
            }

            /// Tells how bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$kind => Severity::$severity,)+
                    Self::Rule(_) => Severity::Warning,
                }
            }

            /// Tells the signal whose being active makes this one unknown.
            #[must_use]
            pub const fn master(self) -> Option<Self> {
                match self {
                    $(Self::$kind => $master,)+
                    Self::Rule(_) => Some(Self::OrchDown),
                }
            }
        }
    };
}

impl Kind {
    /// Tells whether others are unknown while this one is active.
    #[must_use]
    pub const fn is_master(self) -> bool {
        matches!(self, Self::OrchDown | Self::DockerDown)
    }
}

kinds! {
    /// The orchestrator's `/metrics` does not answer usably. Master of everything read from the envelope.
    OrchDown "orch_down" Orchestrator Critical None;
    /// `generated_at` has not advanced for the limit.
    OrchStale "orch_stale" Orchestrator Warning Some(Self::OrchDown);
    /// The oldest item of a stage is older than the limit.
    StageStuck "stage_stuck" Orchestrator Warning Some(Self::OrchDown);
    /// The oldest item of the queue is older than the limit.
    QueueOld "queue_old" Orchestrator Warning Some(Self::OrchDown);
    /// Work waits and nothing runs.
    QueueStalled "queue_stalled" Orchestrator Warning Some(Self::OrchDown);
    /// An agent has been below the CPU floor for the limit.
    AgentStalled "agent_stalled" Orchestrator Warning Some(Self::OrchDown);
    /// An agent has been above the CPU ceiling for ten minutes.
    AgentRunaway "agent_runaway" Orchestrator Warning Some(Self::OrchDown);
    /// An agent has run for longer than the limit.
    AgentOvertime "agent_overtime" Orchestrator Warning Some(Self::OrchDown);
    /// Today's cost is over the limit.
    CostOver "cost_over" Orchestrator Warning Some(Self::OrchDown);
    /// A file system is fuller than the ceiling.
    DiskCeiling "disk_ceiling" Host Critical None;
    /// A file system has used more of its inodes than the ceiling.
    InodeCeiling "inode_ceiling" Host Warning None;
    /// A file system went read-only underneath us.
    DiskReadonly "disk_readonly" Host Critical None;
    /// Too little memory is available.
    MemLow "mem_low" Host Critical None;
    /// Too much of the swap is used.
    SwapHigh "swap_high" Host Warning None;
    /// The 15-minute load per core is over the limit.
    LoadHigh "load_high" Host Warning None;
    /// Memory pressure is over the limit.
    PressureMem "pressure_mem" Host Warning None;
    /// Input and output pressure is over the limit.
    PressureIo "pressure_io" Host Warning None;
    /// CPU pressure is over the limit.
    PressureCpu "pressure_cpu" Host Warning None;
    /// Too many of the host's file handles are used.
    FdHigh "fd_high" Host Warning None;
    /// A read of the host did not return.
    HostProbeStuck "host_probe_stuck" Host Warning None;
    /// The engine does not answer usably. Master of all container signals.
    DockerDown "docker_down" Docker Critical None;
    /// A listed container does not run, or one ended by itself with a status other than 0.
    ContainerDown "container_down" Docker Critical Some(Self::DockerDown);
    /// The container's health check says unhealthy.
    ContainerUnhealthy "container_unhealthy" Docker Warning Some(Self::DockerDown);
    /// The container restarts again and again.
    ContainerRestarting "container_restarting" Docker Warning Some(Self::DockerDown);
    /// The kernel killed a process in the container for want of memory.
    ContainerOom "container_oom" Docker Critical Some(Self::DockerDown);
    /// A dependency does not answer as it should.
    DepDown "dep_down" Dependency Critical None;
    /// A dependency answers more slowly than its limit.
    DepSlow "dep_slow" Dependency Warning None;
    /// A dependency's certificate ends soon.
    DepCert "dep_cert" Dependency Warning None;
    /// More signals than the table holds.
    TableFull "table_full" Own Critical None;
}

impl Kind {
    /// How many kinds there are, rules included: the length of a table with a row for each [`Kind::index`].
    pub const COUNT: usize = Self::BUILT_IN.len() + crate::limits::RULES_MAX;

    /// Tells whether the kind's subjects are found by looking: each takes a row of the table only while there is
    /// something to say about it. The others are known from the configuration and always have their row.
    #[must_use]
    pub const fn is_discovered(self) -> bool {
        matches!(
            self,
            Self::StageStuck
                | Self::AgentStalled
                | Self::AgentRunaway
                | Self::AgentOvertime
                | Self::ContainerDown
                | Self::ContainerUnhealthy
                | Self::ContainerRestarting
                | Self::ContainerOom
                | Self::Rule(_)
        )
    }
}

/// A signal's id: its kind and what it is about. Shown as `kind` or `kind:subject`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignalId {
    /// What can be wrong.
    pub kind: Kind,
    /// What it is about; [`Subject::NONE`] where there is one of a kind.
    pub subject: Subject,
}

impl SignalId {
    /// The id of a kind of which there is one.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        Self {
            kind,
            subject: Subject::NONE,
        }
    }
}

/// `kind` or `kind:subject`; a rule shows as `rule`, see `Config::signal_name`.
impl fmt::Display for SignalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if self.subject.is_none() {
            Ok(())
        } else {
            write!(f, ":{}", self.subject)
        }
    }
}

/// The name, as [`Kind::name`] tells it.
#[cfg(feature = "defmt")]
impl defmt::Format for Kind {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=istr}", self.interned());
    }
}

/// As `Display` has it.
#[cfg(feature = "defmt")]
impl defmt::Format for SignalId {
    fn format(&self, f: defmt::Formatter<'_>) {
        if self.subject.is_none() {
            defmt::write!(f, "{}", self.kind);
        } else {
            defmt::write!(f, "{}:{}", self.kind, self.subject);
        }
    }
}
