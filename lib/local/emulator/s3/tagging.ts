import { type Answer, ServiceError } from '../wire.ts';
import { childrenOf, parseXml, renderXml, textOf } from '../xml.ts';
import { receiveText } from './body.ts';
import { requireTags } from './description.ts';
import { requireObject, xmlAnswer } from './objects.ts';
import type { Target } from './target.ts';

export async function putObjectTagging({ bucket, key, request }: Target): Promise<Answer> {
  const document = parseXml(await receiveText(request));
  const [set] = document ? childrenOf(document, 'TagSet') : [];
  if (!set) throw new ServiceError(400, 'MalformedXML', 'The XML you provided was not well-formed');
  const tags = requireTags(
    childrenOf(set, 'Tag').map((tag) => [textOf(tag, 'Key') ?? '', textOf(tag, 'Value') ?? ''] as const),
  );
  bucket.putObject({ ...requireObject(bucket, key), tags });
  return { status: 200 };
}

export async function getObjectTagging({ bucket, key }: Target): Promise<Answer> {
  const tags = Object.entries(requireObject(bucket, key).tags);
  return xmlAnswer(
    renderXml([
      'Tagging',
      [
        [
          'TagSet',
          tags.map(
            ([name, value]) =>
              [
                'Tag',
                [
                  ['Key', name],
                  ['Value', value],
                ],
              ] as const,
          ),
        ],
      ],
    ]),
  );
}

export async function deleteObjectTagging({ bucket, key }: Target): Promise<Answer> {
  bucket.putObject({ ...requireObject(bucket, key), tags: {} });
  return { status: 204 };
}
