/** A bus that a URL names may have its user and password, or its token, in it: these are for who gave it, and for nobody who looks. */

/** Also of what is no URL: it is said back as wrong. */
export const withoutSecret = (url: string): string => url.replace(/^(\w+:\/\/)?.*@/s, '$1');

export const hasSecret = (url: string): boolean => withoutSecret(url) !== url;
