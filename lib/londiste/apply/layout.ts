import { decodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { quoteIdent, quoteLiteral } from '../../postgres/quote.ts';

/** How the rows of some events are written: all of them the same way, so that one statement reads them. */
export interface Layout {
  format: 'urlencoded' | 'json';
  /** An update by sqltriga: key and changed columns only. */
  partial: boolean;
  /** Columns of the key, as the events name them. */
  key: string[];
  /** Columns of the row, in their order. */
  columns: string[];
  /** True for the events (alias `b`) of this layout. */
  fits: string;
  /** Text value of a column; needs {@link from}. */
  value: (column: string) => string;
  /** What `value` reads, computed once for each event of alias `b`: begins with a comma or is empty. */
  from: string;
  /** Number of the operation (0 insert, 1 update, 2 delete). */
  operation: string;
}

/** What all events of one layout have in common in their ev_type. */
export interface TypeGroup {
  format: Layout['format'];
  partial: boolean;
  key: string[];
}

const JSON_TYPE = /^\{"op":"(INSERT|UPDATE|DELETE)",/;
const ROW_TYPE = /^([IUDu]):(.*)$/s;

/** Reads an ev_type of a row; undefined for any other event. */
export function typeGroup(type: string): TypeGroup | undefined {
  if (JSON_TYPE.test(type)) {
    const { pkey } = JSON.parse(type) as { pkey?: string[] };
    return { format: 'json', partial: false, key: (pkey ?? []).filter((column) => column !== '') };
  }
  const [, letter, key] = ROW_TYPE.exec(type) ?? [];
  if (letter === undefined || key === undefined) return undefined;
  return {
    format: 'urlencoded',
    partial: letter === 'u',
    key: key
      .split(',')
      .map((column) => column.trim())
      .filter((column) => column !== ''),
  };
}

/** Whether an ev_type is that of a TRUNCATE. */
export const isTruncate = (type: string): boolean => type === 'R' || type.startsWith('{"op":"TRUNCATE"');

/** The layout of the events like `sample`, which is one's ev_data. */
export function layoutOf(group: TypeGroup, sample: string): Layout {
  return group.format === 'json' ? jsonLayout(group, sample) : urlencodedLayout(group, sample);
}

/**
 * logutriga writes every column in the table's order, so that a row is its fields by number. `%xx` becomes JSON's `\u00xx`,
 * which stands for a byte: what has any is read as JSON, and as UTF-8 if a byte is beyond ASCII.
 */
function urlencodedLayout(group: TypeGroup, sample: string): Layout {
  const raw = sample === '' ? [] : sample.split('&').map((part) => part.replace(/=.*$/s, ''));
  const columns = raw.map((name) => Object.keys(decodeUrlencoded(name))[0]!);
  const escaped = raw.map((name) => name.replaceAll('+', ' ').replaceAll('%', '\\u00'));
  const field = (index: number) => `f.a[${index + 1}]`;
  const fits = escaped.map(
    (name, index) =>
      `(${field(index)} = ${quoteLiteral(name)} or starts_with(${field(index)}, ${quoteLiteral(`${name}=`)}))`,
  );
  const value = (column: string) => {
    const index = columns.indexOf(column);
    const text = `substr(${field(index)}, ${escaped[index]!.length + 2})`;
    const json = `(('["' || ${text} || '"]')::json ->> 0)`;
    return `case when ${field(index)} = ${quoteLiteral(escaped[index]!)} then null
                 when strpos(${text}, '\\') = 0 then ${text}
                 when ${text} ~ '\\\\u00[89a-fA-F]' then convert_from(convert_to(${json}, 'LATIN1'), 'UTF8')
                 else ${json} end`;
  };
  return {
    ...group,
    columns,
    value,
    fits: [`cardinality(f.a) = ${columns.length}`, ...fits].join(' and '),
    from: `, lateral (select string_to_array(replace(replace(b.ev_data, '+', ' '), '%', '\\u00'), '&') as a offset 0) f`,
    operation: `case left(b.ev_type, 1) when 'I' then 0 when 'D' then 2 else 1 end`,
  };
}

/** jsontriga: numbers and booleans as JSON has them, everything else a string of the type's text. */
function jsonLayout(group: TypeGroup, sample: string): Layout {
  const columns = Object.keys(JSON.parse(sample) as object);
  const names = columns.map((_, index) => `c${index}`);
  // json_to_record knows columns by name only.
  const definitions = columns.map((column) => `${quoteIdent(column)} text`);
  return {
    ...group,
    columns,
    value: (column) => `f.${names[columns.indexOf(column)]}`,
    fits: `(select array_agg(k order by k collate "C") from json_object_keys(b.ev_data::json) k) = ${textArray([...columns].sort())}`,
    from: `, lateral (select * from json_to_record(b.ev_data::json) as r (${definitions.join(', ')})) f (${names.join(', ')})`,
    operation: `case substr(b.ev_type, 8, 1) when 'I' then 0 when 'D' then 2 else 1 end`,
  };
}

const textArray = (items: readonly string[]) => `array[${items.map(quoteLiteral).join(', ')}]::text[]`;
