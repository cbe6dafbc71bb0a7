/** The options before the command. */
import type { OptionSpec } from './options.ts';

export const GENERAL: readonly OptionSpec[] = [
  { long: 'version', short: 'V', help: 'Show the version' },
  { long: 'help', short: 'h', help: 'Show this help' },
  { long: 'group', short: 'g', value: 'GROUP', help: 'Group that may command root’s session daemon (default: tracing)' },
  { long: 'verbose', short: 'v', help: 'Say more on stderr' },
  { long: 'quiet', short: 'q', help: 'Say nothing' },
  { long: 'json', help: 'One JSON document on stdout' },
  { long: 'mi', short: 'm', value: 'TYPE', help: 'One XML document on stdout; TYPE: xml' },
  { long: 'no-sessiond', short: 'n', help: 'Do not start a session daemon' },
  { long: 'sessiond-path', value: 'PATH', help: 'Session daemon', unsupported: 'the session daemon is part of this program' },
  { long: 'relayd-path', value: 'PATH', help: 'Relay daemon', unsupported: 'there is no relay daemon that it could start' },
  {
    long: 'on',
    value: 'SELECTOR',
    help: "On all hosts of the fleet that match: 'role=db,zone!=a', 'host=web-*'; also behind the command",
  },
  { long: 'all', help: 'With --on: do nothing anywhere unless every host is ready' },
  { long: 'stall', value: 'SECONDS', help: 'With --on: how long to wait after the last answer (default: 5)' },
  { long: 'fleet-creds', value: 'DIRECTORY', help: "With --on, hosts, fleet: an operator's key (default: $WEFT_FLEET)" },
  { long: 'uid', value: 'UID', help: 'With an operator’s key: of the session daemons that are meant (default: your own)' },
  { long: 'list-options', help: 'List the general options' },
  { long: 'list-commands', help: 'List the commands' },
];
