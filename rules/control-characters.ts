/** Characters that a terminal obeys: C0 and C1, DEL, separators of lines, and what turns the direction of text. For a class of a RegExp. */
export const CONTROL_CHARACTERS = String.raw`\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069`;

const CONTROL = new RegExp(`[${CONTROL_CHARACTERS}]`);

export const hasControlCharacter = (text: string): boolean => CONTROL.test(text);
