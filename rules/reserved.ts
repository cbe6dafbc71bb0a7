/** Names that the tracer keeps for itself: what comes from agents and from its own inside is not recorded by plain rules. */

const PROVIDERS: readonly string[] = ['lttng_ust', 'lttng_jul', 'lttng_log4j', 'lttng_log4j2', 'lttng_python'];
const CHANNELS: readonly string[] = [
  'lttng_jul_channel',
  'lttng_log4j_channel',
  'lttng_log4j2_channel',
  'lttng_python_channel',
];

/** A rule can only mean events of that provider. */
export const isReservedPattern = (pattern: string): boolean =>
  PROVIDERS.includes(pattern.split(':')[0]!) && pattern.includes(':');

export const isReservedChannel = (channel: string): boolean => CHANNELS.includes(channel);
