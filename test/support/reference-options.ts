/**
 * The commands, options and environment variables of LTTng-tools 2.16, as data: what docs/differences.md compares Weft with.
 * An option is `long` or `long/short`; a command is a list of them, separated by spaces.
 */

const DOMAINS = 'kernel/k userspace/u';
const AGENTS = `${DOMAINS} jul/j log4j/l log4j2`;
const ALL_DOMAINS = `${AGENTS} python/p`;
const EVERY = 'help/h list-options';
const PLACE = 'session/s channel/c';
const SELECT = 'all/a glob/g';
const ATTRIBUTES = 'pid/p vpid uid vuid gid vgid';

export const REFERENCE_GENERAL =
  'version/V help/h group/g verbose/v quiet/q mi/m no-sessiond/n sessiond-path relayd-path list-options list-commands';

export const REFERENCE_COMMANDS: Readonly<Record<string, string>> = {
  'add-context': `${EVERY} ${AGENTS} ${PLACE} type/t list`,
  'add-map-channel': `${EVERY} type/t session/s value-type max-key-count update-policy buffer-ownership dead-process-policy`,
  'add-trigger':
    `${EVERY} name owner-uid condition action type exclude-name/x log-level/l filter/f location event-name/E capture ` +
    'session/s channel/c domain/d threshold-size/t threshold-ratio/r rate-policy max-size/m path url ctrl-url data-url key/k',
  clear: `${EVERY} all/a`,
  create: `${EVERY} output/o set-url/U ctrl-url/C data-url/D no-output no-consumer snapshot live shm-path trace-format/F`,
  destroy: `${EVERY} ${SELECT} no-wait/n`,
  'disable-channel': `${EVERY} ${DOMAINS} session/s`,
  'disable-event': `${EVERY} ${ALL_DOMAINS} ${PLACE} tracepoint syscall probe function all-events/a`,
  'disable-rotation': `${EVERY} session/s timer size`,
  'enable-channel':
    `${EVERY} ${DOMAINS} session/s discard overwrite subbuf-size num-subbuf switch-timer read-timer monitor-timer watchdog-timer ` +
    'output buffers-uid buffers-pid buffers-global buffer-ownership buffer-allocation buffer-preallocation auto-reclaim-memory ' +
    'tracefile-size/C tracefile-count/W blocking-timeout',
  'enable-event':
    `${EVERY} ${ALL_DOMAINS} ${PLACE} all/a tracepoint syscall probe function userspace-probe loglevel loglevel-only filter/f ` +
    'exclude/x',
  'enable-rotation': `${EVERY} session/s timer size`,
  'export-maps': `${EVERY} session/s format/f`,
  help: EVERY,
  list: `${EVERY} ${ALL_DOMAINS} syscall/S fields/f channel/c map-channel domain/d mem-usage style no-truncate`,
  'list-triggers': EVERY,
  load: `${EVERY} all/a force/f input-path/i override-url override-name no-triggers`,
  metadata: `${EVERY} session/s list-commands`,
  'reclaim-memory': `${EVERY} userspace/u session/s all/a older-than no-wait`,
  regenerate: `${EVERY} session/s list-commands`,
  'remove-trigger': `${EVERY} owner-uid`,
  rotate: `${EVERY} no-wait/n`,
  save: `${EVERY} all/a force/f output-path/o no-triggers`,
  'set-session': EVERY,
  'show-maps':
    `${EVERY} session/s channel/c type per uid all-uids pid all-pids shared system part-id cpu-id key key-glob ` +
    'non-init-values sort-by sort-order limit',
  snapshot: `${EVERY} session/s name/n max-size/m ctrl-url/C data-url/D list-commands`,
  start: `${EVERY} ${SELECT}`,
  status: `${EVERY} mem-usage style no-truncate`,
  stop: `${EVERY} ${SELECT} no-wait/n`,
  track: `${EVERY} ${DOMAINS} session/s ${ATTRIBUTES} all/a`,
  untrack: `${EVERY} ${DOMAINS} session/s ${ATTRIBUTES} all/a`,
  version: EVERY,
  view: `${EVERY} viewer/e trace-path/t`,
};

/** Programs of their own there, and the command that does their work here. */
export const REFERENCE_PROGRAMS: Readonly<Record<string, { readonly command: string; readonly options: string }>> = {
  'lttng-sessiond': {
    command: 'sessiond',
    options:
      'background/b daemonize/d config/f group/g load/l pidfile/p sig-parent/S default-trace-format spawn-consumers no-kernel ' +
      'kmod-probes extra-kmod-probes agent-tcp-port apps-sock/a client-sock/c kconsumerd-cmd-sock kconsumerd-err-sock ' +
      'ustconsumerd32-cmd-sock ustconsumerd32-err-sock ustconsumerd64-cmd-sock ustconsumerd64-err-sock consumerd32-path ' +
      'consumerd64-path consumerd32-libdir consumerd64-libdir event-notifier-error-buffer-size-kernel ' +
      'event-notifier-error-buffer-size-userspace quiet/q verbose/v verbose-consumer help/h version/V',
  },
  'lttng-relayd': {
    command: 'relayd',
    options:
      'background/b daemonize/d config/f group/g control-port/C data-port/D live-port/L dynamic-port-allocation output/o ' +
      'group-output-by-host/p group-output-by-session/s working-directory/w disallow-clear/x fd-pool-size pid-file/P sig-parent/S ' +
      'verbose/v help/h version/V',
  },
  'lttng-crash': { command: 'crash', options: 'extract/x viewer/e verbose/v help/h version/V' },
};

export const REFERENCE_ENVIRONMENT: readonly string[] = [
  'LTTNG_HOME',
  'LTTNG_RUNDIR',
  'LTTNG_SESSIOND_PATH',
  'LTTNG_SESSION_CONFIG_XSD_PATH',
  'LTTNG_MAN_BIN_PATH',
  'LTTNG_LIST_LEGACY',
  'LTTNG_TERM_COLOR',
  'NO_COLOR',
  'LTTNG_NO_UTF_8',
  'LTTNG_ABORT_ON_ERROR',
  'LTTNG_UST_CTL_PATH',
  'LTTNG_SESSIOND_DEFAULT_TRACE_FORMAT',
  'LTTNG_APP_SOCKET_TIMEOUT',
  'LTTNG_NETWORK_SOCKET_TIMEOUT',
  'LTTNG_CONSUMERD32_BIN',
  'LTTNG_CONSUMERD64_BIN',
  'LTTNG_CONSUMERD32_LIBDIR',
  'LTTNG_CONSUMERD64_LIBDIR',
  'LTTNG_KMOD_PROBES',
  'LTTNG_EXTRA_KMOD_PROBES',
  'LTTNG_DEBUG_NOCLONE',
  'LTTNG_RELAYD_DISALLOW_CLEAR',
  'LTTNG_RELAYD_HEALTH',
  'LTTNG_RELAYD_WORKING_DIRECTORY',
  'LTTNG_RELAYD_TCP_KEEP_ALIVE',
  'LTTNG_UST_REGISTER_TIMEOUT',
  'LTTNG_UST_ALLOW_BLOCKING',
  'LTTNG_UST_APP_PATH',
  'LTTNG_UST_DEBUG',
  'LTTNG_UST_ABORT_ON_CRITICAL',
  'LTTNG_UST_CLOCK_PLUGIN',
  'LTTNG_UST_GETCPU_PLUGIN',
  'LTTNG_UST_MAP_POPULATE_POLICY',
  'LTTNG_UST_WITHOUT_BADDR_STATEDUMP',
  'LTTNG_UST_WITHOUT_PROCNAME_STATEDUMP',
  'LTTNG_UST_PYTHON_DEBUG',
  'LTTNG_UST_JAVA_DEBUG',
];

export interface ReferenceOption {
  readonly long: string;
  readonly short: string | null;
}

export const referenceOptions = (words: string): readonly ReferenceOption[] =>
  words.split(' ').map((word) => {
    const [long, short] = word.split('/') as [string, string?];
    return { long, short: short ?? null };
  });
