/** Every sub-command, loaded when it is called: a command line starts no faster than what it imports. */
import type { Command } from '../command.ts';

export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  'add-context': async () => (await import('./add-context.ts')).addContext,
  clear: async () => (await import('./clear.ts')).clear,
  create: async () => (await import('./create.ts')).create,
  destroy: async () => (await import('./lifecycle.ts')).destroy,
  'disable-channel': async () => (await import('./channels.ts')).disableChannel,
  'disable-event': async () => (await import('./events.ts')).disableEvent,
  'disable-rotation': async () => (await import('./rotation.ts')).disableRotation,
  'enable-channel': async () => (await import('./channels.ts')).enableChannel,
  'enable-event': async () => (await import('./events.ts')).enableEvent,
  'enable-rotation': async () => (await import('./rotation.ts')).enableRotation,
  list: async () => (await import('./list.ts')).list,
  metadata: async () => (await import('./regenerate.ts')).metadata,
  regenerate: async () => (await import('./regenerate.ts')).regenerate,
  rotate: async () => (await import('./rotation.ts')).rotate,
  sessiond: async () => (await import('./sessiond.ts')).sessiond,
  'set-session': async () => (await import('./set-session.ts')).setSession,
  snapshot: async () => (await import('./snapshot.ts')).snapshot,
  start: async () => (await import('./lifecycle.ts')).start,
  status: async () => (await import('./list.ts')).status,
  stop: async () => (await import('./lifecycle.ts')).stop,
  version: async () => (await import('./version.ts')).version,
  view: async () => (await import('./view.ts')).view,
};
