//! Every bound of the product, with its reason. A loop, queue, body or wait without a limit is a defect.

/// Bytes in a [`crate::Name`]: a DNS label, so that names can become host names.
pub const NAME_BYTES_MAX: usize = 63;
/// Bytes in a [`crate::Id`]: prefix, 16 characters and room for `-FB`.
pub const ID_BYTES_MAX: usize = 40;
/// Bytes in a [`crate::Version`]: becomes a folder name.
pub const VERSION_BYTES_MAX: usize = 64;
/// Characters in a title or a reason: one screen.
pub const TEXT_CHARS_MAX: usize = 4_000;

/// Targets in one plan: what one live page and one database row set carry well.
pub const TARGETS_MAX: usize = 20_000;
/// Waves in one plan: more cannot be watched.
pub const WAVES_MAX: usize = 200;
/// Steps of one component: the agent journals each.
pub const STEPS_MAX: usize = 50;
/// Gates on one side of one wave.
pub const GATES_MAX: usize = 20;
/// Measurements one gate keeps; at the shortest interval this is a quarter of an hour.
pub const MEASUREMENTS_MAX: usize = 1_000;
/// Sources whose counters one metric gate keeps apart; each reading of each is in the history.
pub const METRIC_SOURCES_MAX: usize = 500;
/// Components in one application, release or plan: the largest release train of the reference data has 315.
pub const COMPONENTS_MAX: usize = 500;
/// Milestones of one release: more are a runsheet.
pub const MILESTONES_MAX: usize = 200;
/// Variables or labels of one target.
pub const LABELS_MAX: usize = 64;

/// Seconds a step may run: one day.
pub const STEP_SECONDS_MAX: u32 = 86_400;
/// Bytes of output kept of one step: 1 MiB, then it is cut and says so.
pub const STEP_OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// Seconds an order may wait to be taken before it expires: one hour.
pub const ORDER_SECONDS_MAX: u32 = 3_600;
/// Seconds without contact before an ordered target counts as unreachable, unless the strategy says otherwise.
pub const UNREACHABLE_SECONDS: u32 = 60;
/// Infrastructure errors in a row that end a measurement (semantics: arithmetic table).
pub const MEASUREMENT_ERRORS_MAX: u32 = 4;

/// Bytes of one uploaded artifact: 2 GiB.
pub const ARTIFACT_BYTES_MAX: u64 = 2 << 30;
/// Bytes an archive may unpack to: 8 GiB.
pub const ARCHIVE_UNPACKED_BYTES_MAX: u64 = 8 << 30;
/// Entries an archive may have.
pub const ARCHIVE_ENTRIES_MAX: u64 = 200_000;
/// How many times its packed size an archive may unpack to, once past [`ARCHIVE_RATIO_FLOOR_BYTES`]: a bomb is thousands.
pub const ARCHIVE_RATIO_MAX: u64 = 200;
/// Unpacked bytes below which the ratio is not tested: small text packs very well.
pub const ARCHIVE_RATIO_FLOOR_BYTES: u64 = 16 << 20;

/// Bytes of one JSON or YAML body.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Nesting of one JSON or YAML body.
pub const BODY_DEPTH_MAX: usize = 32;
/// Rows on one page of a list.
pub const PAGE_ROWS_MAX: u32 = 200;
/// Rows on one page unless asked otherwise.
pub const PAGE_ROWS: u32 = 50;

/// Seconds a long poll of an agent is held.
pub const POLL_SECONDS: u32 = 30;
/// Bytes of one chunk of a step's log.
pub const LOG_CHUNK_BYTES_MAX: usize = 16 << 10;
/// Seconds between looks at a deployment when every doorbell is lost.
pub const LOOK_SECONDS: u32 = 1;
/// Verified versions kept of each component in an environment; going back further is a new deployment.
pub const VERIFIED_MAX: usize = 20;
