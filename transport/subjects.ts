/**
 * Every subject of the bus is built and read here. A token is made of `[A-Za-z0-9_-]`; any other byte of the text's UTF-8 is `=`
 * and two upper-case hex digits, the empty text is `=`: so a text has exactly one token, which cannot hold a dot or a wildcard.
 */
const PREFIX = 'weft.v1';
const PLAIN = /^[A-Za-z0-9_-]+$/;

const isPlainByte = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) || // 0-9
  (byte >= 0x41 && byte <= 0x5a) || // A-Z
  (byte >= 0x61 && byte <= 0x7a) || // a-z
  byte === 0x5f || // _
  byte === 0x2d; // -

export const encodeToken = (text: string): string => {
  if (text === '') return '=';
  if (PLAIN.test(text)) return text;
  let token = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    token += isPlainByte(byte) ? String.fromCharCode(byte) : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return token;
};

/** Null: no token that `encodeToken` makes (so no second spelling of a name gets past a comparison). */
export const decodeToken = (token: string): string | null => {
  if (token === '=') return '';
  if (PLAIN.test(token)) return token;
  if (!/^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/.test(token)) return null;
  const bytes = Buffer.from(
    token.replace(/=(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  const text = bytes.toString('utf8');
  return encodeToken(text) === token ? text : null;
};

/** A part of a subject that stands for any text, for subscriptions. */
export const ANY = Symbol('any token');
export type Part = string | number | typeof ANY;

const join = (...parts: Part[]): string =>
  [PREFIX, ...parts.map((part) => (part === ANY ? '*' : encodeToken(String(part))))].join('.');

/** Whose daemon: HOST and its uid. */
export interface Place {
  readonly host: Part;
  readonly uid: Part;
}

export interface CommandPlace extends Place {
  readonly realm: Part;
  readonly who: Part;
  readonly noun: Part;
  readonly verb: Part;
}

export const commandSubject = ({ host, uid, realm, who, noun, verb }: CommandPlace): string =>
  join(host, uid, 'cmd', realm, who, noun, verb);
/** What the daemon serves: a command of whoever the server vouches for. What comes from the fleet has subjects of its own. */
export const commandPattern = (place: Place, noun: string, verb: string): string =>
  commandSubject({ ...place, realm: 'local', who: ANY, noun, verb });

export const consumerSubject = ({ host, uid, owner, verb }: Place & { owner: Part; verb: Part }): string =>
  join(host, uid, 'consumer', owner, verb);

export const eventSubject = ({
  host,
  uid,
  owner,
  noun,
  name,
  what,
}: Place & { owner: Part; noun: Part; name: Part; what: Part }): string => join(host, uid, 'evt', owner, noun, name, what);

export const liveSubject = ({
  host,
  uid,
  owner,
  session,
  event,
}: Place & { owner: Part; session: Part; event: Part }): string => join(host, uid, 'live', owner, session, event);

export const parseLiveSubject = (
  subject: string,
): { readonly host: string; readonly uid: string; readonly owner: string; readonly session: string } | null => {
  const texts = textsOf(subject, 'live', 3);
  if (!texts) return null;
  const [host, uid, owner, session] = texts as [string, string, string, string];
  return { host, uid, owner, session };
};

export const inspectSubject = ({ host, uid, process }: Place & { process: Part }): string =>
  join(host, uid, 'inspect', process);

/** Asks a host of the fleet for its time. */
export const clockSubject = ({ host, uid }: Place): string => join('fleet', uid, 'clock', host);

export const beatSubject = ({ host, uid }: Place): string => join(host, uid, 'beat');

/** HOST of what goes to all hosts; no host may be called so, nor like a relay's subjects. */
const FLEET = 'fleet';
export const RESERVED_HOSTS: readonly string[] = [FLEET, 'relay'];

/** Commands to every host whose daemon runs as UID. */
export const scatterSubject = (of: { uid: Part; who: Part; noun: Part; verb: Part }): string =>
  commandSubject({ host: FLEET, realm: FLEET, ...of });

/** Who somebody is on the fleet who comes over the bus of a host: the fleet's server lets that host's key say so, and no other. */
export const fleetWho = (who: string, host: string): string => `${who}@${host}`;

/** All that this WHO may command: every host alone, and all at once. */
export const fleetSubtrees = (uid: Part, who: Part): readonly string[] =>
  ([ANY, FLEET] as const).map((host) => `${join(host, uid, 'cmd', FLEET, who)}.>`);

/** Commands of one realm to a daemon, or to all (`host: null`). */
export const realmSubtree = (host: Part | null, uid: Part, realm: 'local' | 'fleet'): string =>
  `${join(host ?? FLEET, uid, 'cmd', realm)}.>`;

/** HOST is new and asks who is there: whoever hears it beats. */
export const callSubject = ({ host, uid }: Place): string => join(FLEET, uid, 'call', host);

/** All of them: a leaf passes on a kind whole. */
export const CALLS = `${PREFIX}.fleet.*.call.>`;

/** Null: no call. */
export const parseCallSubject = (subject: string): { readonly host: string; readonly uid: string } | null => {
  const tokens = subject.split('.');
  const [, , fleet, uid, call, host] = tokens;
  if (tokens.length !== 6 || `${tokens[0]}.${tokens[1]}` !== PREFIX || fleet !== FLEET || call !== 'call') return null;
  const texts = [uid, host].map((token) => decodeToken(token!));
  return texts.includes(null) || RESERVED_HOSTS.includes(texts[1]!) ? null : { uid: texts[0]!, host: texts[1]! };
};

/** Null: no beat. */
export const parseBeatSubject = (subject: string): { readonly host: string; readonly uid: string } | null => {
  const tokens = subject.split('.');
  if (tokens.length !== 5 || `${tokens[0]}.${tokens[1]}` !== PREFIX || tokens[4] !== 'beat') return null;
  const [host, uid] = [decodeToken(tokens[2]!), decodeToken(tokens[3]!)];
  return host === null || uid === null || RESERVED_HOSTS.includes(host) ? null : { host, uid };
};

/** Where every relay listens, as one queue. */
export const RELAY_OPEN = `${PREFIX}.relay.open`;

/** The same of one relay, by name. */
export const relayOpenSubject = (relay: Part): string => join('relay', relay, 'open');

/** LINK: the id of the session whose data goes over it; HOST, UID and OWNER are what the server vouches for. */
export interface LinkPlace extends Place {
  readonly relay: Part;
  readonly owner: Part;
  readonly link: Part;
}

export const linkSubject = (kind: 'data' | 'ack', { relay, host, uid, owner, link }: LinkPlace): string =>
  join('relay', relay, kind, host, uid, owner, link);

/** All links of one owner at any relay, for permissions. */
export const linkSubtree = (kind: 'data' | 'ack', { host, uid, owner }: Place & { owner: Part }): string =>
  `${join('relay', ANY, kind, host, uid, owner)}.>`;

/** A fleet trigger: from HOST, to every consumer of sessions of that name of the daemons of UID. */
export const freezeSubject = ({ host, uid, session }: Place & { session: Part }): string =>
  join('fleet', uid, 'freeze', session, host);

/** All of them: a leaf passes on a kind whole. */
export const FREEZES = `${PREFIX}.fleet.*.freeze.>`;

export const parseFreezeSubject = (
  subject: string,
): { readonly uid: string; readonly session: string; readonly host: string } | null => {
  const tokens = subject.split('.');
  const [, , fleet, uid, freeze, session, host] = tokens;
  if (tokens.length !== 7 || `${tokens[0]}.${tokens[1]}` !== PREFIX || fleet !== 'fleet' || freeze !== 'freeze') return null;
  const texts = [uid, session, host].map((token) => decodeToken(token!));
  return texts.includes(null) ? null : { uid: texts[0]!, session: texts[1]!, host: texts[2]! };
};

export const relayEventSubject = (relay: Part, what: Part): string => join('relay', relay, 'evt', what);

/** All that belongs to one relay. */
export const relaySubtree = (relay: Part): string => `${join('relay', relay)}.>`;

/** All that a kind of subject holds of one owner, for permissions: `weft.v1.HOST.UID.evt.OWNER.>`. */
export const subtree = (
  { host, uid }: Place,
  kind: 'cmd' | 'consumer' | 'evt' | 'live' | 'inspect',
  ...below: Part[]
): string => `${join(host, uid, kind, ...below)}.>`;

const textsOf = (subject: string, kind: string, count: number): string[] | null => {
  const tokens = subject.split('.');
  if (tokens.length !== 5 + count || `${tokens[0]}.${tokens[1]}` !== PREFIX || tokens[4] !== kind) return null;
  const texts = [tokens[2]!, tokens[3]!, ...tokens.slice(5)].map(decodeToken);
  return texts.includes(null) ? null : (texts as string[]);
};

export interface CommandAddress {
  readonly host: string;
  readonly uid: string;
  readonly realm: string;
  readonly who: string;
  readonly noun: string;
  readonly verb: string;
}

/** Null: not a command's subject. The same for the other parsers. */
export const parseCommandSubject = (subject: string): CommandAddress | null => {
  const texts = textsOf(subject, 'cmd', 4);
  if (!texts) return null;
  const [host, uid, realm, who, noun, verb] = texts as [string, string, string, string, string, string];
  return { host, uid, realm, who, noun, verb };
};

export const parseConsumerSubject = (
  subject: string,
): { readonly host: string; readonly uid: string; readonly owner: string; readonly verb: string } | null => {
  const texts = textsOf(subject, 'consumer', 2);
  if (!texts) return null;
  const [host, uid, owner, verb] = texts as [string, string, string, string];
  return { host, uid, owner, verb };
};

export interface EventAddress {
  readonly host: string;
  readonly uid: string;
  readonly owner: string;
  readonly noun: string;
  readonly name: string;
  readonly what: string;
}

export const parseEventSubject = (subject: string): EventAddress | null => {
  const texts = textsOf(subject, 'evt', 4);
  if (!texts) return null;
  const [host, uid, owner, noun, name, what] = texts as [string, string, string, string, string, string];
  return { host, uid, owner, noun, name, what };
};

export interface LinkAddress {
  readonly relay: string;
  readonly host: string;
  readonly uid: string;
  readonly owner: string;
  readonly link: string;
}

export const parseLinkSubject = (kind: 'data' | 'ack', subject: string): LinkAddress | null => {
  const tokens = subject.split('.');
  if (tokens.length !== 9 || `${tokens[0]}.${tokens[1]}` !== PREFIX || tokens[2] !== 'relay' || tokens[4] !== kind) return null;
  const texts = [tokens[3]!, ...tokens.slice(5)].map(decodeToken);
  if (texts.includes(null)) return null;
  const [relay, host, uid, owner, link] = texts as [string, string, string, string, string];
  return { relay, host, uid, owner, link };
};

/** NATS's matching: `*` is one token, a last `>` one or more. A narrower pattern in place of the subject works too. */
export const subjectMatches = (pattern: string, subject: string): boolean => {
  const wanted = pattern.split('.');
  const given = subject.split('.');
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return index === wanted.length - 1 && given.length > index;
    if (index >= given.length) return false;
    if (token === '*' ? given[index] === '>' : token !== given[index]) return false;
  }
  return wanted.length === given.length;
};
