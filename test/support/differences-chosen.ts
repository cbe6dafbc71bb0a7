/** What no option table shows: behaviour that was chosen to differ, environment variables, commands that are not there. */

export const NO_COUNTERPART: Readonly<Record<string, string>> = {
  crash:
    'Ring buffers outlive programs and daemons in a keeper’s memory: the next daemon writes them to the trace by itself, and there ' +
    'are no files to extract them from.',
};

export const CHOSEN: readonly string[] = [
  '`--json` (of every command, before or behind its name) prints one JSON document; `--mi xml` is there for programs that read XML.',
  'Every command but `sessiond` starts the session daemon when none runs, not only `create`; `--no-sessiond` forbids it.',
  'Exit statuses are 0 to 5 (success, error, unknown command, fatal, warning, unsupported), never a raw error number.',
  'An error is two lines: what is wrong, and the way out.',
  'The current session is stored in `current-session` in the state directory, not in `~/.lttngrc`.',
  'The human output of `list` and `status` is the layout of 2.13; `--style=breathe` or `--style=compact` prints the tree of later ' +
    'versions instead (there the tree is the default and `LTTNG_LIST_LEGACY=1` selects the old layout).',
  '`stop` and `destroy` return when the trace is complete.',
  '`list SESSION` also shows recorded events, and each cause of loss by itself.',
  '`clear` is for sessions that write a trace; of snapshot sessions and those with `--no-output` the buffers are not emptied: it is refused.',
  'Traces are CTF 1.8; `--trace-format=ctf-2` is refused.',
  'Loading a configuration that does not exist is an error, and leaves the current session alone.',
  'The state dump is written into each channel that enables any of it, with a `start` and an `end` of its own; triggers do not see it.',
  'XML of `--mi` always has `success`, also for `list`; schema version 4.3, elements of things that Weft does not have are absent.',
];

const NO_KERNEL = 'none: there is no kernel domain';
const NO_AGENTS = 'none: there are no agent domains';
const OWN_CONSUMER = 'none: the consumer is part of Weft';

export const ENVIRONMENT: Readonly<Record<string, string>> = {
  LTTNG_HOME: '`WEFT_HOME`: sockets, state and traces lie below it, for commands, daemon and programs',
  LTTNG_RUNDIR: '`WEFT_HOME`',
  LTTNG_SESSIOND_PATH: 'none: the session daemon is part of Weft',
  LTTNG_SESSION_CONFIG_XSD_PATH: 'none: what a configuration may hold is checked by the program itself',
  LTTNG_MAN_BIN_PATH: 'none: `--help` prints the text itself',
  LTTNG_LIST_LEGACY: 'none: the old layout is the default, `--style` selects the tree',
  LTTNG_TERM_COLOR: '`WEFT_TERM_COLOR`: auto, always or never',
  NO_COLOR: '`NO_COLOR`',
  LTTNG_NO_UTF_8: '`WEFT_NO_UTF_8=1`',
  LTTNG_ABORT_ON_ERROR: 'none: a daemon that fails is started again by its keeper',
  LTTNG_UST_CTL_PATH: '`WEFT_HOME`',
  LTTNG_SESSIOND_DEFAULT_TRACE_FORMAT: 'none: traces are CTF 1.8',
  LTTNG_APP_SOCKET_TIMEOUT: 'none: no program can block the daemon, it is never waited for',
  LTTNG_NETWORK_SOCKET_TIMEOUT: 'none: the bus has its own limits',
  LTTNG_CONSUMERD32_BIN: OWN_CONSUMER,
  LTTNG_CONSUMERD64_BIN: OWN_CONSUMER,
  LTTNG_CONSUMERD32_LIBDIR: OWN_CONSUMER,
  LTTNG_CONSUMERD64_LIBDIR: OWN_CONSUMER,
  LTTNG_KMOD_PROBES: NO_KERNEL,
  LTTNG_EXTRA_KMOD_PROBES: NO_KERNEL,
  LTTNG_DEBUG_NOCLONE: 'none: consumers always run as the user whose events they write',
  LTTNG_RELAYD_DISALLOW_CLEAR: 'none: `weft relayd --disallow-clear`',
  LTTNG_RELAYD_HEALTH: 'none: the relay shows itself to `nats micro ls` and reports events',
  LTTNG_RELAYD_WORKING_DIRECTORY: 'none: `weft relayd --working-directory`',
  LTTNG_RELAYD_TCP_KEEP_ALIVE:
    'none: hosts reach the relay over the bus, which has its own limits (also the other `LTTNG_RELAYD_TCP_…`)',
  LTTNG_UST_REGISTER_TIMEOUT: '`WEFT_REGISTER_TIMEOUT`: milliseconds',
  LTTNG_UST_ALLOW_BLOCKING: 'none: `enable-channel --blocking-timeout` alone decides',
  LTTNG_UST_APP_PATH: '`WEFT_HOME`',
  LTTNG_UST_DEBUG: '`WEFT_UST_DEBUG`',
  LTTNG_UST_ABORT_ON_CRITICAL: 'none: the library never ends a program',
  LTTNG_UST_CLOCK_PLUGIN: 'none: the clock is CLOCK_MONOTONIC',
  LTTNG_UST_GETCPU_PLUGIN: 'none: the CPU is read by rseq, else by getcpu',
  LTTNG_UST_MAP_POPULATE_POLICY: 'none: `enable-channel --buffer-preallocation`',
  LTTNG_UST_WITHOUT_BADDR_STATEDUMP: 'the same; `WEFT_NO_STATEDUMP` leaves all of the state dump out',
  LTTNG_UST_WITHOUT_PROCNAME_STATEDUMP: 'the same',
  LTTNG_UST_PYTHON_DEBUG: `${NO_AGENTS} (also \`…_REGISTER_TIMEOUT\`, \`…_REGISTER_RETRY_DELAY\`)`,
  LTTNG_UST_JAVA_DEBUG: NO_AGENTS,
};
