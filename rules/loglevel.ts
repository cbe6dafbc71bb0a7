/** Log levels of user-space instrumentation points, and rules about them. Severity falls as the number rises. */
import type { LogLevelRule } from '../machines/document.ts';

const NAMES: readonly string[] = [
  'EMERG',
  'ALERT',
  'CRIT',
  'ERR',
  'WARNING',
  'NOTICE',
  'INFO',
  'DEBUG_SYSTEM',
  'DEBUG_PROGRAM',
  'DEBUG_PROCESS',
  'DEBUG_MODULE',
  'DEBUG_UNIT',
  'DEBUG_FUNCTION',
  'DEBUG_LINE',
  'DEBUG',
];

/** The level of a point that declares none. */
export const DEFAULT_LOG_LEVEL = 13;

/** `TRACE_INFO`, for display; an unknown number gives `UNKNOWN`. */
export const logLevelName = (level: number): string => {
  const name = NAMES[level];
  return name ? `TRACE_${name}` : 'UNKNOWN';
};

/** Accepts `INFO`, `TRACE_INFO`, for 7 to 13 also the last word alone (`MODULE`), in any case; null: no such level. */
export const parseLogLevel = (text: string): number | null => {
  const name = text.toUpperCase().replace(/^TRACE_/, '');
  const exact = NAMES.indexOf(name);
  if (exact >= 0) return exact;
  const short = NAMES.indexOf(`DEBUG_${name}`);
  return short >= 0 && name !== '' ? short : null;
};

export const matchesLogLevel = (rule: LogLevelRule | null, level: number | null): boolean => {
  const actual = level ?? DEFAULT_LOG_LEVEL;
  if (rule === null) return true;
  return rule.kind === 'single' ? actual === rule.level : actual <= rule.level;
};
