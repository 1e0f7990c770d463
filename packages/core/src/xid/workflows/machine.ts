import type { WorkflowPath, WorkflowStep } from '../../domain/incident.ts';
import type { Action } from '../../domain/verdict.ts';
import { type QuestionId, questions, type WorkflowContext } from './questions.ts';

/** Where a workflow ends. */
export interface Outcome {
  /** Our own words. */
  readonly outcome: string;
  /** `own`: the action of the lines themselves, by the vendor's immediate bucket and what was decoded. */
  readonly action: Action | 'own';
}

/** A question and where each answer leads: to another state by name, or to an outcome. `unknown` goes the way of `no` when it has none. */
export interface WorkflowState {
  readonly ask: QuestionId;
  readonly yes: string | Outcome;
  readonly no: string | Outcome;
  readonly unknown?: string | Outcome;
}

export interface Workflow {
  /** The vendor's name, where it has one. */
  readonly id: string;
  readonly xids: readonly number[];
  readonly source: string;
  readonly start: string | Outcome;
  readonly states: Readonly<Record<string, WorkflowState>>;
}

/** @throws Error when the table leads in a circle or to a state that it does not have; a test walks every table. */
export function walkWorkflow(workflow: Workflow, context: WorkflowContext): WorkflowPath {
  const steps: WorkflowStep[] = [];
  const seen = new Set<string>();
  let next: string | Outcome = workflow.start;
  while (typeof next === 'string') {
    const state: WorkflowState | undefined = workflow.states[next];
    if (!state || seen.has(next)) throw new Error(`${workflow.id} has no way out of ${next}`);
    seen.add(next);
    const question = questions[state.ask];
    const [answer, because] = question.answer(context);
    steps.push({ question: question.text, answer, because });
    next = answer === 'yes' ? state.yes : answer === 'no' ? state.no : (state.unknown ?? state.no);
  }
  const { outcome, action } = next;
  return {
    id: workflow.id,
    steps,
    outcome,
    action: action === 'own' ? context.ownAction : action,
    source: workflow.source,
  };
}
