import { type Answer, parameter, ServiceError } from '../wire.ts';
import { type Element, renderXml } from '../xml.ts';
import { compareKeys } from './key-index.ts';
import { xmlAnswer } from './objects.ts';
import type { StoredObject } from './store.ts';
import type { Target } from './target.ts';

/** S3 gives at most so many keys and common prefixes per page. */
const MAXIMUM_KEYS = 1000;

type Entry = { readonly key: string; readonly object: StoredObject } | { readonly prefix: string };

export async function listObjectsV2({ bucket, request }: Target): Promise<Answer> {
  const prefix = parameter(request, 'prefix') ?? '';
  const delimiter = parameter(request, 'delimiter') ?? '';
  const token = parameter(request, 'continuation-token');
  const startAfter = parameter(request, 'start-after') ?? '';
  const maximum = Math.min(Number(parameter(request, 'max-keys') ?? MAXIMUM_KEYS), MAXIMUM_KEYS);
  if (!Number.isInteger(maximum) || maximum < 0) {
    throw new ServiceError(
      400,
      'InvalidArgument',
      'Argument maxKeys must be an integer between 0 and 2147483647',
    );
  }
  const encoding = parameter(request, 'encoding-type');
  const shown = (text: string): string =>
    encoding === 'url' ? encodeURIComponent(text).replaceAll('%2F', '/') : text;

  const page: Entry[] = [];
  let truncated = false;
  for (const entry of entries(
    bucket.objects.walk.bind(bucket.objects),
    prefix,
    delimiter,
    token,
    startAfter,
  )) {
    if (page.length === maximum) {
      truncated = maximum > 0;
      break;
    }
    page.push(entry);
  }
  const last = page.at(-1);
  const next = truncated && last ? encodeToken('prefix' in last ? last.prefix : last.key) : undefined;
  return xmlAnswer(
    renderXml([
      'ListBucketResult',
      [
        ['Name', bucket.name],
        ['Prefix', shown(prefix)],
        startAfter ? ['StartAfter', shown(startAfter)] : undefined,
        token !== undefined ? ['ContinuationToken', token] : undefined,
        next !== undefined ? ['NextContinuationToken', next] : undefined,
        ['KeyCount', page.length],
        ['MaxKeys', maximum],
        delimiter ? ['Delimiter', shown(delimiter)] : undefined,
        encoding ? ['EncodingType', encoding] : undefined,
        ['IsTruncated', truncated],
        ...page.flatMap((entry) => ('prefix' in entry ? [] : [contents(entry.object, shown)])),
        ...page.flatMap((entry) =>
          'prefix' in entry ? [['CommonPrefixes', [['Prefix', shown(entry.prefix)]]] as Element] : [],
        ),
      ],
    ]),
  );
}

function* entries(
  walk: (from: string) => Iterable<readonly [string, StoredObject]>,
  prefix: string,
  delimiter: string,
  token: string | undefined,
  startAfter: string,
): Generator<Entry> {
  // A token names the last entry of the page before, which may be a common prefix; StartAfter names a key.
  const last = token === undefined ? undefined : decodeToken(token);
  const after = last ?? startAfter;
  let from = compareKeys(after, prefix) > 0 ? after : prefix;
  for (;;) {
    let group: string | undefined;
    for (const [key, object] of walk(from)) {
      if (!key.startsWith(prefix)) return;
      if (key === after) continue;
      const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      if (cut < 0) {
        yield { key, object };
        continue;
      }
      group = key.slice(0, cut + delimiter.length);
      if (last === undefined || compareKeys(group, last) > 0) yield { prefix: group };
      break;
    }
    if (group === undefined) return;
    // One look-up past the whole group: U+10FFFF is greater than anything in a key.
    from = `${group}\u{10ffff}`;
  }
}

function contents(object: StoredObject, shown: (text: string) => string): Element {
  return [
    'Contents',
    [
      ['Key', shown(object.key)],
      ['LastModified', new Date(object.modified).toISOString()],
      ['ETag', `"${object.etag}"`],
      object.checksum && ['ChecksumAlgorithm', object.checksum.algorithm.toUpperCase()],
      object.checksum && ['ChecksumType', object.checksum.type],
      ['Size', object.size],
      ['StorageClass', object.headers['x-amz-storage-class'] ?? 'STANDARD'],
    ],
  ];
}

function encodeToken(key: string): string {
  return Buffer.from(key).toString('base64url');
}

function decodeToken(token: string): string {
  const key = Buffer.from(token, 'base64url').toString('utf8');
  if (encodeToken(key) !== token) {
    throw new ServiceError(400, 'InvalidArgument', 'The continuation token provided is incorrect');
  }
  return key;
}
