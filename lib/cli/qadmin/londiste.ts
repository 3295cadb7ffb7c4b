import type { QadminSession } from './session.ts';
import type { Statement } from './statement.ts';
import { formatRows } from './table.ts';

type LondisteStatement = Extract<Statement, { kind: `londiste-${string}` }>;

/** Calls one of Londiste's functions for each name; they answer with a code and a note. */
async function each(
  session: QadminSession,
  names: readonly string[],
  call: string,
  values: (name: string) => unknown[],
): Promise<string[]> {
  const answers: string[] = [];
  for (const name of names) {
    const { rows } = await session.query(`select ret_code, ret_note from ${call}`, values(name));
    answers.push(...rows.map(([code, note]) => `${code} ${note}`));
  }
  return answers;
}

const LISTS = {
  tables: ['Local tables', 'select * from londiste.get_table_list($1) where local'],
  seqs: ['Sequences', 'select * from londiste.get_seq_list($1) where local'],
  missing: ['Missing objects', 'select * from londiste.local_show_missing($1)'],
} as const;

/** The `londiste …` statements, all on the default queue. */
export async function executeLondiste(session: QadminSession, statement: LondisteStatement): Promise<string> {
  const queue = session.needQueue(undefined);
  const lines = (answers: readonly string[]) => answers.map((answer) => `${answer}\n`).join('');
  switch (statement.kind) {
    case 'londiste-add-table': {
      const answers = await each(
        session,
        statement.tables,
        'londiste.local_add_table($1, $2, $3)',
        (name) => [queue, name, statement.options],
      );
      return `${lines(answers)}ADD_TABLE\n`;
    }
    case 'londiste-add-sequence': {
      const answers = await each(session, statement.sequences, 'londiste.local_add_seq($1, $2)', (name) => [
        queue,
        name,
      ]);
      return `${lines(answers)}ADD_SEQ\n`;
    }
    case 'londiste-remove-table': {
      const answers = await each(session, statement.tables, 'londiste.local_remove_table($1, $2)', (name) => [
        queue,
        name,
      ]);
      return lines(answers.map((answer) => `REMOVE_TABLE: ${answer}`));
    }
    case 'londiste-remove-sequence': {
      const answers = await each(
        session,
        statement.sequences,
        'londiste.local_remove_seq($1, $2)',
        (name) => [queue, name],
      );
      return lines(answers.map((answer) => `REMOVE_SEQ: ${answer}`));
    }
    case 'londiste-list': {
      const [title, text] = LISTS[statement.what];
      const { columns, rows } = await session.query(text, [queue]);
      return formatRows(`${title} on queue "${queue}":`, columns, rows);
    }
  }
}
