/** The first heading of what nvidia-bug-report.sh writes. */
export function isReportTitle(heading: string): boolean {
  return heading.startsWith('Start of NVIDIA bug report log file');
}

const path = /^\*{3} (\/[\w./:@+-]{1,160})( does not exist| is not readable)?$/;
const command = /^(?:\/[\w./-]{1,80}\/)?([a-z][\w-]{1,32})((?: -{0,2}[A-Za-z0-9_=:.,"*/-]{1,40}){0,6}):?$/;

/** A heading of the report as a name for a part: a path or a command line. Anything else is not repeated. */
export function headingOf(heading: string): string {
  const [, file, note = ''] = path.exec(heading) ?? [];
  if (file !== undefined) return `${file}${note}`;
  const [, program, options = ''] = command.exec(heading) ?? [];
  return program === undefined ? 'a part of the report' : `${program}${options}`;
}
