//! How a command ends, and with which exit code.

use tidegate_api::Problem;
use tidegate_api::strict::Marked;
use tidegate_domain::Refusal;

/// Any end but the good one.
#[derive(Debug)]
pub enum Ending {
    /// A fault of this host or of the program.
    Fault(anyhow::Error),
    /// The deployment that was watched did not succeed; everything about it has been said.
    NotSucceeded,
    /// `tidegate doctor` found a problem; everything about it has been said.
    Unwell,
    /// The server said no.
    Refused(Box<Problem>),
    /// The server did not answer.
    Unreachable {
        /// Which one.
        server: String,
        /// What went wrong last.
        cause: String,
    },
    /// Files that cannot be taken as they are.
    Files(Vec<Marked>),
    /// A value on the command line or in a file that cannot be taken as it is.
    Input(Box<Refusal>),
    /// Whoever reads the output has gone; there is nobody to tell.
    NobodyListens,
}

/// What every exit code means; shown under `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  good
  1  a fault of this host or of the program
  2  the command line cannot be understood
  3  the deployment did not succeed
  4  the server refused; the reasons and what would be right are printed
  5  the server cannot be reached
  6  a file or value was refused before anything was sent
  7  tidegate doctor found a problem";

impl Ending {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Ending::NobodyListens => 0,
            Ending::Fault(_) => 1,
            Ending::NotSucceeded => 3,
            Ending::Refused(_) => 4,
            Ending::Unreachable { .. } => 5,
            Ending::Files(_) | Ending::Input(_) => 6,
            Ending::Unwell => 7,
        }
    }
}

impl From<Refusal> for Ending {
    fn from(refusal: Refusal) -> Ending {
        Ending::Input(Box::new(refusal))
    }
}

impl From<anyhow::Error> for Ending {
    fn from(error: anyhow::Error) -> Ending {
        Ending::Fault(error)
    }
}

impl From<tidegate_server::No> for Ending {
    fn from(no: tidegate_server::No) -> Ending {
        match no {
            tidegate_server::No::Refused(refusal) => refusal.into(),
            tidegate_server::No::NotAdmitted(reasons) => Ending::Refused(Box::new(Problem::not_admitted(reasons))),
            tidegate_server::No::Fault(fault) => Ending::Fault(fault.into()),
        }
    }
}

impl From<std::io::Error> for Ending {
    fn from(error: std::io::Error) -> Ending {
        if error.kind() == std::io::ErrorKind::BrokenPipe { Ending::NobodyListens } else { Ending::Fault(error.into()) }
    }
}
