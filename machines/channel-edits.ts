/** What enable-channel, disable-channel and add-context do to a session document. Pure: the caller writes the result. */
import { contextIdentity, counterOf, isContextType, isKernelContext } from './contexts.ts';
import type { ChannelAttributes, ChannelDocument, ContextType, SessionDocument } from './document.ts';
import { controlCause } from './plain-names.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';
import { fileCause, sharedFile } from './stream-names.ts';

export type Edited<A> =
  | { readonly ok: true; readonly document: SessionDocument; readonly answer: A }
  | { readonly ok: false; readonly refusal: Refusal };

/** Of one channel (WEFT_CONTEXTS_MAX in native/ust/channel.h); counters (WEFT_PERF_COUNTERS in native/ust/thread_page.h). */
const CONTEXTS_MAX = 64;
const COUNTERS_MAX = 32;

export const DEFAULT_CHANNEL = 'channel0';

const SUBBUF_SIZE_MAX = 2 ** 30;
const SUBBUF_COUNT_MAX = 4096;
const PAGE = 4096;
/** Milliseconds in 31 bits. */
const BLOCKING_MAX_US = 0x7fff_ffff * 1000 + 999;

/** The size of a sub-buffer is LTTng's by ownership: per-process rings are many. */
export const defaultAttributes = (ownership: ChannelAttributes['ownership']): ChannelAttributes => ({
  mode: 'discard',
  subbufSize: ownership === 'user' ? 512 * 1024 : 16 * 1024,
  subbufCount: 4,
  ownership,
  switchTimerUs: 0,
  readTimerUs: 0,
  monitorTimerUs: 1_000_000,
  watchdogTimerUs: ownership === 'user' ? 2_000_000 : 0,
  blockingTimeoutUs: 0,
  allocation: 'per-cpu',
  preallocation: 'preallocate',
  reclaim: { policy: 'off', ageUs: 0 },
  tracefileSize: 0,
  tracefileCount: 0,
  output: 'mmap',
});

const refused = (code: string, params: Refusal['params'] = {}) => ({ ok: false, refusal: refusal(code, params) }) as const;

export const channelNamed = (document: SessionDocument, name: string): ChannelDocument | undefined =>
  document.channels.find((channel) => channel.name === name);

export const withChannel = (document: SessionDocument, channel: ChannelDocument): SessionDocument => ({
  ...document,
  channels: document.channels.some(({ id }) => id === channel.id)
    ? document.channels.map((known) => (known.id === channel.id ? channel : known))
    : [...document.channels, channel],
});

const nameCause = (name: string): string | null => {
  if (name === '') return 'it is empty';
  if (new TextEncoder().encode(name).length > 255) return 'it has more than 255 bytes';
  if (name.includes('/') || name.includes('\0')) return 'it holds a `/` or a NUL';
  if (name.startsWith('.')) return 'it begins with `.`';
  return name === 'metadata' ? '`metadata` is reserved' : controlCause(name);
};

/** A document that an older version wrote: what it does not say is as it was then. */
export const withAllAttributes = (document: SessionDocument): SessionDocument => ({
  ...document,
  channels: document.channels.map((channel) => ({
    ...channel,
    attributes: { ...defaultAttributes(channel.attributes.ownership), ...channel.attributes },
  })),
  registries: document.registries.map((registry) => ({
    ...registry,
    ringSets: registry.ringSets.map((set) => ({ ...set, allocation: set.allocation ?? 'per-cpu' })),
  })),
});

type Cause = [attribute: string, cause: string] | null;

/** Which attributes do not go together. */
const combinationCause = (attributes: ChannelAttributes): Cause => {
  const { mode, blockingTimeoutUs, reclaim, watchdogTimerUs, ownership, tracefileSize, tracefileCount } = attributes;
  if (blockingTimeoutUs !== 0 && mode === 'overwrite') {
    return ['blockingTimeoutUs', 'a channel that overwrites is never full, so nobody waits: use discard mode'];
  }
  if (reclaim.policy !== 'off' && mode === 'overwrite') {
    return ['reclaim', 'only a channel in discard mode gives memory back by itself'];
  }
  if (watchdogTimerUs !== 0 && ownership === 'process') return ['watchdogTimerUs', 'it is for buffers per user'];
  if (tracefileCount !== 0 && tracefileSize === 0) return ['tracefileCount', 'a trace file size is needed with it'];
  return null;
};

const attributesCause = (attributes: ChannelAttributes): Cause => {
  if (attributes.subbufSize < PAGE) return ['subbufSize', `it is below ${PAGE} bytes, the size of a page`];
  if (attributes.subbufSize > SUBBUF_SIZE_MAX) return ['subbufSize', `it is above ${SUBBUF_SIZE_MAX} bytes`];
  if (attributes.subbufCount < 1) return ['subbufCount', 'at least one sub-buffer is needed'];
  if (attributes.subbufCount > SUBBUF_COUNT_MAX) return ['subbufCount', `it is above ${SUBBUF_COUNT_MAX}`];
  if (attributes.blockingTimeoutUs > BLOCKING_MAX_US) return ['blockingTimeoutUs', `it is above ${BLOCKING_MAX_US} us`];
  return combinationCause(attributes);
};

/** Where nothing is written nothing is ever consumed. */
const outputCause = ({ output }: SessionDocument, { reclaim }: ChannelAttributes): Cause =>
  reclaim.policy === 'consumed' && output.kind === 'none'
    ? ['reclaim', 'the session writes nothing by itself, so nothing is consumed: use older-than:TIME or `weft reclaim-memory`']
    : null;

const powerOfTwo = (value: number): number => 2 ** Math.ceil(Math.log2(value));

/** Sizes and counts are rounded up to powers of two (and to two sub-buffers, the least that a ring works with); a trace file holds at
 * least one sub-buffer. */
const rounded = (wanted: ChannelAttributes): { attributes: ChannelAttributes; adjusted: string[] } => {
  const subbufSize = powerOfTwo(wanted.subbufSize);
  const attributes = {
    ...wanted,
    subbufSize,
    subbufCount: Math.max(2, powerOfTwo(wanted.subbufCount)),
    tracefileSize: wanted.tracefileSize === 0 ? 0 : Math.max(subbufSize, wanted.tracefileSize),
  };
  const adjusted = (['subbufSize', 'subbufCount', 'tracefileSize'] as const).filter(
    (name) => attributes[name] !== wanted[name],
  );
  return { attributes, adjusted };
};

export interface ChannelAnswer {
  readonly channel: string;
  readonly adjusted: readonly string[];
}

/** A snapshot is wanted of the newest events. */
const modeOf = ({ snapshot }: SessionDocument): Partial<ChannelAttributes> => (snapshot ? { mode: 'overwrite' } : {});

/** Two streams in one file would be neither. */
const fileRefusal = (document: SessionDocument, name: string, attributes: ChannelAttributes): Refusal | null => {
  const { name: session, channels, shmPath } = document;
  const cause = fileCause({ name, attributes });
  if (cause) return refusal('channel-name-invalid', { channel: name, cause });
  for (const known of channels) {
    const file = sharedFile({ name, attributes }, known, shmPath !== null);
    if (file !== null) return refusal('channel-files-meet', { session, channel: name, other: known.name, file });
  }
  return null;
};

const addChannel = (document: SessionDocument, name: string, partial: Partial<ChannelAttributes>): Edited<ChannelAnswer> => {
  const session = document.name;
  if (document.everStarted) return refused('channel-frozen', { session });
  const present = document.channels[0]?.attributes.ownership;
  const wanted = { ...defaultAttributes(partial.ownership ?? present ?? 'user'), ...modeOf(document), ...partial };
  if (present && present !== wanted.ownership) return refused('ownership-mixed', { session, ownership: present });
  const cause = attributesCause(wanted) ?? outputCause(document, wanted);
  if (cause) return refused('channel-attributes-invalid', { attribute: cause[0], cause: cause[1] });
  const { attributes, adjusted } = rounded(wanted);
  const unfit = fileRefusal(document, name, attributes);
  if (unfit) return { ok: false, refusal: unfit };
  const id = Math.max(-1, ...document.channels.map((channel) => channel.id)) + 1;
  const channel: ChannelDocument = { id, name, enabled: true, attributes, contexts: [], rules: [] };
  return { ok: true, document: withChannel(document, channel), answer: { channel: name, adjusted } };
};

export const enableChannel = (
  document: SessionDocument,
  name: string,
  partial: Partial<ChannelAttributes>,
): Edited<ChannelAnswer> => {
  const known = channelNamed(document, name);
  if (known?.enabled) return refused('channel-exists', { session: document.name, channel: name });
  if (known) {
    return { ok: true, document: withChannel(document, { ...known, enabled: true }), answer: { channel: name, adjusted: [] } };
  }
  const cause = nameCause(name);
  return cause ? refused('channel-name-invalid', { channel: name, cause }) : addChannel(document, name, partial);
};

export const disableChannel = (document: SessionDocument, name: string): Edited<ChannelAnswer> => {
  const known = channelNamed(document, name);
  if (!known) return refused('channel-not-found', { session: document.name, channel: name });
  return { ok: true, document: withChannel(document, { ...known, enabled: false }), answer: { channel: name, adjusted: [] } };
};

export interface ContextAnswer {
  readonly added: readonly { readonly channel: string; readonly type: ContextType }[];
}

/** What cannot be added at all, whatever the channel. */
const contextCause = (names: readonly string[]): Refusal | null => {
  for (const name of names) {
    if (isContextType(name)) continue;
    return refusal(isKernelContext(name) ? 'context-of-kernel' : 'context-unknown', { context: name });
  }
  return null;
};

const newContexts = (known: readonly ContextType[], wanted: readonly ContextType[]): readonly ContextType[] => {
  const taken = new Set(known.map(contextIdentity));
  return wanted.filter((type) => !taken.has(contextIdentity(type)) && taken.add(contextIdentity(type)));
};

const limitCause = ({ name, contexts }: ChannelDocument): Refusal | null => {
  const counters = contexts.filter((type) => counterOf(type) !== null).length;
  if (contexts.length > CONTEXTS_MAX)
    return refusal('contexts-too-many', { channel: name, what: 'contexts', limit: CONTEXTS_MAX });
  if (counters > COUNTERS_MAX) return refusal('contexts-too-many', { channel: name, what: 'counters', limit: COUNTERS_MAX });
  return null;
};

/** All channels or one; without any channel the default one is made, as enable-event does. */
export const addContexts = (
  document: SessionDocument,
  channel: string | null,
  names: readonly string[],
): Edited<ContextAnswer> => {
  const session = document.name;
  if (document.everStarted) return refused('channel-frozen', { session });
  const wrong = contextCause(names);
  if (wrong) return { ok: false, refusal: wrong };
  const types = names.filter(isContextType);
  if (channel !== null && !channelNamed(document, channel)) return refused('channel-not-found', { session, channel });
  const made = document.channels.length === 0 ? addChannel(document, DEFAULT_CHANNEL, {}) : null;
  if (made && !made.ok) return made;
  const base = made ? made.document : document;
  const targets = base.channels.filter(({ name }) => channel === null || name === channel);
  const grown = targets.map((one) => ({ ...one, contexts: [...one.contexts, ...newContexts(one.contexts, types)] }));
  const added = grown.flatMap(({ name, contexts }, at) =>
    contexts.slice(targets[at]!.contexts.length).map((type) => ({ channel: name, type })),
  );
  if (added.length === 0) return refused('context-exists', { channel: targets[0]!.name, context: types[0]! });
  const limit = grown.map(limitCause).find((cause) => cause !== null);
  if (limit) return { ok: false, refusal: limit };
  return { ok: true, document: grown.reduce(withChannel, base), answer: { added } };
};
