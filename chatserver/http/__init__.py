"""What every HTTP answer shares: who may come in, what a request says, how a refusal looks."""
