import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../lib/platform/config-file.ts';

const databases = { app: { url: 'env:APP_URL' }, copy: { url: 'env:COPY_URL' } };

describe('the configuration', () => {
  it('fills in what has a default', () => {
    const config = parseConfig({
      databases,
      consumers: {
        mover: { kind: 'queue-mover', database: 'app', queue: 'q', target: 'copy', targetQueue: 'q2' },
      },
    });
    expect(config.databases.app!.tick).toEqual({
      intervalSeconds: 5,
      idleAfterSeconds: 600,
      idleMaximumSeconds: 0,
    });
    expect(config.consumers.mover).toMatchObject({ consumer: 'mover', subconsumers: 0 });
  });

  it.each([
    ['databases.app.url', { databases: { app: { url: 5 } } }],
    [
      'databases.app.tick.intervalSeconds',
      { databases: { app: { url: 'x', tick: { intervalSeconds: 0 } } } },
    ],
    ['databases.app', { databases: { app: { url: 'x', ulr: 'y' } } }],
    [
      'consumers.c.database',
      {
        databases,
        consumers: { c: { kind: 'handler', handler: './c.ts', database: 'nowhere', queue: 'q' } },
      },
    ],
    [
      'consumers.c.target',
      { databases, consumers: { c: { kind: 'apply-rows', database: 'app', queue: 'q', target: 'nowhere' } } },
    ],
    [
      'consumers.c.queues.x',
      {
        databases,
        consumers: { c: { kind: 'queue-splitter', database: 'app', queue: 'q', queues: { x: 'q' } } },
      },
    ],
    [
      'consumers.c.partition: wants either "field" or "time"',
      {
        databases,
        consumers: {
          c: {
            kind: 'table-dispatcher',
            database: 'app',
            queue: 'q',
            target: 'copy',
            table: 't',
            partition: { every: 'day' },
          },
        },
      },
    ],
    [
      'consumers.c.partition.name: {week} is unknown',
      {
        databases,
        consumers: {
          c: {
            kind: 'table-dispatcher',
            database: 'app',
            queue: 'q',
            target: 'copy',
            table: 't',
            partition: { time: 'event', name: '{table}_{year}_{week}' },
          },
        },
      },
    ],
    [
      'consumers.c.fields.pgq.ev_color',
      {
        databases,
        consumers: {
          c: {
            kind: 'table-dispatcher',
            database: 'app',
            queue: 'q',
            target: 'copy',
            table: 't',
            fields: { 'pgq.ev_color': 'x' },
          },
        },
      },
    ],
    [
      'consumers.c.subconsumers: with an orderingKey',
      {
        databases,
        consumers: {
          c: { kind: 'handler', handler: 'x', database: 'app', queue: 'q', orderingKey: 'extra1' },
        },
      },
    ],
    [
      'consumers.c.subconsumers: a consumer of kind apply-rows keeps the order',
      {
        databases,
        consumers: {
          c: { kind: 'apply-rows', database: 'app', queue: 'q', target: 'copy', subconsumers: 2 },
        },
      },
    ],
    ['consumers.c.kind', { databases, consumers: { c: { kind: 'teleport', database: 'app', queue: 'q' } } }],
  ])('names the wrong key %s', (key, input) => {
    expect(() => parseConfig(input)).toThrowError(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(key) }),
    );
  });
});
