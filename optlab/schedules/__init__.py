"""Learning-rate schedules: functions of the step."""
