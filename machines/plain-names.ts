/** How something may be called that a relay keeps: one rule, for those who send and for those who receive. */

const NAME_BYTES_MAX = 255;
const INDEX = '.idx';
const PATH_BYTES_MAX = 1024;
const PATH_PARTS_MAX = 12;
/** A relay calls the directory of a session NAME-YYYYmmdd-HHMMSS, if another link has that with eight digits behind it, and a number. */
export const RELAY_SESSION_BYTES_MAX = NAME_BYTES_MAX - '-20260101-000000-01234567-2'.length;

const encoder = new TextEncoder();
/** Most names are far from the limit. */
const isLonger = (text: string, bytes: number): boolean =>
  text.length > bytes || (text.length * 3 > bytes && encoder.encode(text).length > bytes);

const CONTROL = /\p{Cc}/u;

/** One name of a path: no separator, no way up, nothing hidden, nothing that a terminal would obey. */
export const isPlainName = (name: string): boolean =>
  name !== '' &&
  !name.startsWith('.') &&
  !name.includes('/') &&
  !CONTROL.test(name) &&
  !isLonger(name, NAME_BYTES_MAX - INDEX.length);

/** Below some directory, and nowhere else. */
export const isPlainPath = (path: string): boolean => {
  if (path.length > PATH_BYTES_MAX) return false;
  const parts = path.split('/');
  return parts.length <= PATH_PARTS_MAX && parts.every(isPlainName);
};

/** Null: there is none. */
export const controlCause = (name: string): string | null => (CONTROL.test(name) ? 'it holds a control character' : null);

/** Why no relay takes a session of that name; null: one does. */
export const relaySessionCause = (name: string): string | null => {
  if (name.startsWith('.')) return 'it begins with `.`, and no relay makes a hidden directory';
  if (controlCause(name)) return 'it holds a control character, and no relay makes such a directory';
  return isLonger(name, RELAY_SESSION_BYTES_MAX)
    ? `it has more than ${RELAY_SESSION_BYTES_MAX} bytes, and the relay’s directory of it has the time behind the name`
    : null;
};

/** Why no relay takes what a session records; null: one does. */
export const relayCause = ({
  name,
  channels,
}: {
  name: string;
  channels: readonly { readonly name: string }[];
}): string | null => {
  const session = relaySessionCause(name);
  if (session !== null) return `no relay takes session \`${name}\`: ${session}`;
  const channel = channels.find((one) => controlCause(one.name) !== null);
  return channel ? `no relay takes channel ${JSON.stringify(channel.name)}: ${controlCause(channel.name)}` : null;
};
