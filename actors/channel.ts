/** A channel's changes, as events on the bus and lines in the log. */
import type { ActorRefFrom } from 'xstate';
import { type ChannelEvent, channelMachine } from '../machines/channel.ts';
import type { DaemonParts } from './daemon-parts.ts';

/** Every pass and every start says how the channels stand: mostly as they stood. */
export const tellChannel = (channel: ActorRefFrom<typeof channelMachine>, event: ChannelEvent): void => {
  if (channel.getSnapshot().can(event)) channel.send(event);
};

export const provideChannel = (parts: DaemonParts) =>
  channelMachine.provide({
    actions: {
      publishChannel: ({ context }, { what }) => {
        const owner = parts.documents.find(context.sessionId)?.owner.uid ?? parts.place.uid;
        const session = parts.documents.find(context.sessionId)?.name ?? context.sessionId;
        parts.events.publish(owner, 'channel', context.name, what, { session, cause: context.cause });
        if (what === 'degraded') parts.ports.log.warn('a channel lacks rings', { session, channel: context.name });
      },
    },
  });
