// @module-tag long
import { matrixTests } from './tests.js';

matrixTests('5sync');
