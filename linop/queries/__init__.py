"""Questions to ask of an operator: one question, one file, each open to answers of your own.

Most are single-dispatch functions: ``cost.register(MyOperator)`` teaches one to answer for a class, without a change to
that class.

==========================================  ==================================================================
`matrix` `diagonal` `trace`                 what it is in coordinates
`inverse`                                   what undoes it
`norm_estimate` `condition_estimate`        how much it magnifies, and how unevenly
`eigenvalue_bounds`                         where the spectrum of a self-adjoint one lies
`is_self_adjoint` ... `is_diagonal`         what is known of it
`cost`                                      what one application takes
==========================================  ==================================================================
"""
