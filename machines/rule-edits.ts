/** What enable-event and disable-event do to a session document. Pure: the caller writes the result. */
import type { Edited } from './channel-edits.ts';
import { channelNamed, DEFAULT_CHANNEL, enableChannel, withChannel } from './channel-edits.ts';
import type { ChannelDocument, EventRule, LogLevelRule, SessionDocument } from './document.ts';
import { refusal } from './refusal.ts';

export interface RuleWanted {
  readonly pattern: string;
  readonly logLevel: LogLevelRule | null;
  readonly exclusions: readonly string[];
  readonly filter: string | null;
}

export interface RuleAnswer {
  readonly rule: EventRule;
  readonly channel: string;
  readonly created: boolean;
}

const refused = (code: string, params: Record<string, string>) => ({ ok: false, refusal: refusal(code, params) }) as const;

/** Who records the same: everything but whether it is enabled. */
const sameRule = (a: RuleWanted, b: RuleWanted): boolean =>
  JSON.stringify([a.pattern, a.logLevel && [a.logLevel.kind, a.logLevel.level], a.exclusions, a.filter]) ===
  JSON.stringify([b.pattern, b.logLevel && [b.logLevel.kind, b.logLevel.level], b.exclusions, b.filter]);

/** The named channel; without a name the default one, which is made unless the session has other channels. */
const channelFor = (document: SessionDocument, name: string | null): Edited<{ readonly channel: string }> => {
  const wanted = name ?? DEFAULT_CHANNEL;
  if (channelNamed(document, wanted)) return { ok: true, document, answer: { channel: wanted } };
  if (name === null && document.channels.length > 0) return refused('channel-name-needed', { session: document.name });
  return enableChannel(document, wanted, {});
};

const place = (channel: ChannelDocument, wanted: RuleWanted): { rule: EventRule; rules: readonly EventRule[] } => {
  const rule: EventRule = { ...wanted, enabled: true };
  const known = channel.rules.some((one) => sameRule(one, wanted));
  const rules = known ? channel.rules.map((one) => (sameRule(one, wanted) ? rule : one)) : [...channel.rules, rule];
  return { rule, rules };
};

export const enableRule = (document: SessionDocument, channelName: string | null, wanted: RuleWanted): Edited<RuleAnswer> => {
  const target = channelFor(document, channelName);
  if (!target.ok) return target;
  const channel = channelNamed(target.document, target.answer.channel)!;
  const known = channel.rules.find((one) => sameRule(one, wanted));
  if (known?.enabled) return refused('rule-exists', { pattern: wanted.pattern, channel: channel.name });
  const { rule, rules } = place(channel, wanted);
  const document2 = withChannel(target.document, { ...channel, rules });
  return { ok: true, document: document2, answer: { rule, channel: channel.name, created: known === undefined } };
};

export interface RulesAnswer {
  readonly rules: readonly EventRule[];
  readonly channel: string;
}

/** `pattern` null: all rules of the channel. A pattern must equal the stored one; it covers all rules that have it. */
export const disableRules = (
  document: SessionDocument,
  channelName: string | null,
  pattern: string | null,
): Edited<RulesAnswer> => {
  const name = channelName ?? DEFAULT_CHANNEL;
  const channel = channelNamed(document, name);
  if (!channel && channelName === null && document.channels.length > 0) {
    return refused('channel-name-needed', { session: document.name });
  }
  if (!channel) return refused('channel-not-found', { session: document.name, channel: name });
  const meant = (rule: EventRule) => rule.enabled && (pattern === null || rule.pattern === pattern);
  const rules = channel.rules.filter(meant).map((rule) => ({ ...rule, enabled: false }));
  if (rules.length === 0 && pattern !== null) return refused('rule-not-found', { pattern, channel: name });
  const next = channel.rules.map((rule) => (meant(rule) ? { ...rule, enabled: false } : rule));
  return { ok: true, document: withChannel(document, { ...channel, rules: next }), answer: { rules, channel: name } };
};
