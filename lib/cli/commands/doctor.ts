import { styleText } from 'node:util';
import type { Finding } from '../../schema/doctor.ts';
import type { Cli } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { packageVersion } from '../version.ts';

export function registerDoctorCommand(cli: Cli): void {
  cli.action(
    cli.program
      .command('doctor')
      .description('look for missing rights, settings, drift and stuck queues, and say how to mend each'),
    [
      ['skytools doctor', 'the chosen database; exit code 3 if something does not work'],
      ['skytools doctor --json | jq \'.[] | select(.level == "fault")\'', 'only what does not work'],
    ],
    async (context) => {
      const { examine } = await import('../../schema/doctor.ts');
      const findings = await examine(await context.connect(), packageVersion());
      if (context.json) await context.table(findings, []);
      else for (const finding of findings) context.write(formatFinding(finding, context.color));
      return findings.some((finding) => finding.level === 'fault') ? EXIT.unhealthy : EXIT.ok;
    },
  );
}

const COLORS = { ok: 'green', warning: 'yellow', fault: 'red' } as const;

function formatFinding(finding: Finding, color: boolean): string {
  const level = finding.level.padEnd(7);
  const label = color ? styleText(COLORS[finding.level], level) : level;
  const hint = finding.hint ? `         ${finding.hint}\n` : '';
  return `${label}  ${finding.check}: ${finding.message}\n${hint}`;
}
