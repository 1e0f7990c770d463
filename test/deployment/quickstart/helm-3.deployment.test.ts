import { describeQuickstart } from './cluster-sections.ts';

describeQuickstart('helm-3', 'kubectl-1.31');
