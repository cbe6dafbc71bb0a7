/** Times as people of this host read them. */

const pad = (value: number): string => String(value).padStart(2, '0');

/** `YYYYmmdd-HHMMSS` in local time. */
export const localStamp = (ms: number): string => {
  const at = new Date(ms);
  const date = `${at.getFullYear()}${pad(at.getMonth() + 1)}${pad(at.getDate())}`;
  return `${date}-${pad(at.getHours())}${pad(at.getMinutes())}${pad(at.getSeconds())}`;
};

/** ISO 8601 with the offset of here. */
export const localTime = (ms: number): string => {
  const at = new Date(ms);
  const offset = -at.getTimezoneOffset();
  const local = new Date(ms + offset * 60_000).toISOString().slice(0, 19);
  const size = Math.abs(offset);
  return `${local}${offset < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
};
