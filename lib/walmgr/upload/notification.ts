import type { Config } from '../../platform/config.ts';
import { SMOKE_PREFIX } from '../archive/location.ts';
import { clusterConfig } from '../config.ts';

/** The part of an S3 event that is used (documentation, "Event message structure"). */
interface S3Event {
  Records?: { s3?: { bucket?: { name?: string }; object?: { key?: string } } }[];
}

/**
 * Turns S3's notification of a new object into the message of our own; undefined for anything that is neither of a
 * configured archive nor WAL (test events, catalogues).
 *
 * @param body of an SQS message
 */
export function jobOfNotification(
  body: string,
  config: Config,
): { v: 1; kind: 'wal-archive'; cluster: string; key: string }[] | undefined {
  let event: S3Event & { Event?: string };
  try {
    event = JSON.parse(body) as S3Event & { Event?: string };
  } catch {
    return undefined;
  }
  if (event.Records === undefined) return event.Event === 's3:TestEvent' ? [] : undefined;
  return event.Records.flatMap((record) => {
    const key = decodeURIComponent((record.s3?.object?.key ?? '').replaceAll('+', ' '));
    const cluster = Object.keys(config.walmgr).find((name) => {
      const { location } = clusterConfig(config, name);
      const prefix = location.prefix === '' ? '' : `${location.prefix}/`;
      return location.bucket === record.s3?.bucket?.name && key.startsWith(prefix);
    });
    return cluster === undefined || key.startsWith(SMOKE_PREFIX) || !/\/(wal|history)\//.test(key)
      ? []
      : [{ v: 1, kind: 'wal-archive', cluster, key }];
  });
}
